// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls one string function for each request on standard input, in buffers of exactly the
 * size that is given, so that AddressSanitizer sees one byte too many.
 *
 *   request   u32 function, size, nr_longs, nr_strings | s64 longs[] | { u32 length, bytes }[]
 *   answer    u32 length, cut | bytes
 *
 *   0   format(string 0, longs, strings 1..)
 *   1   copy(string 0)
 *   2   concat(string 0, string 1)
 *   3   to = to . string 1
 *   4   to = string 0 . to
 *   5   to = to . to
 *   6   user_string_quoted(&string 0)
 *   7   user_buffer_quoted(&string 0, long 0)
 *   8   user_string(&string 0)
 *   9   user_string_n(&string 0, long 0)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stapwatch.h"

#define MOST 16

const struct sw_script sw_script = { .name = "strings" };

static bool take(void *to, size_t size)
{
	return fread(to, 1, size, stdin) == size;
}

static void call(struct sw_context *c, u32 function, char *to, u32 size, const s64 *longs,
		 char *const *strings)
{
	u64 address = (u64)(unsigned long)strings[0];

	switch (function) {
	case 0:
		sw_format(c, to, size, strings[0], longs, (const char *const *)strings + 1);
		break;
	case 1:
		sw_copy(c, to, size, strings[0]);
		break;
	case 2:
		sw_concat(c, to, size, strings[0], strings[1]);
		break;
	case 3:
		sw_copy(c, to, size, strings[0]);
		sw_concat(c, to, size, to, strings[1]);
		break;
	case 4:
		sw_copy(c, to, size, strings[1]);
		sw_concat(c, to, size, strings[0], to);
		break;
	case 5:
		sw_copy(c, to, size, strings[0]);
		sw_concat(c, to, size, to, to);
		break;
	case 6:
		sw_user_string_quoted(c, to, size, address);
		break;
	case 7:
		sw_user_buffer_quoted(c, to, size, address, longs[0]);
		break;
	case 8:
		sw_user_string(c, to, size, address);
		break;
	case 9:
		sw_user_string_n(c, to, size, address, longs[0]);
		break;
	}
}

int main(void)
{
	u32 head[4];

	while (take(head, sizeof(head))) {
		u32 size = head[1], nr_longs = head[2], nr_strings = head[3], i, answer[2];
		struct sw_lane_counts counts = { 0 };
		struct sw_context c = { .counts = &counts, .actions = 1 << 30 };
		char *strings[MOST] = { NULL }, *to = malloc(size);
		s64 *longs = malloc(8 * nr_longs + 1);

		if (nr_strings > MOST || !take(longs, 8 * nr_longs))
			return 1;
		for (i = 0; i < nr_strings; i++) {
			u32 length;

			if (!take(&length, 4))
				return 1;
			strings[i] = calloc(1, length + 1);
			if (!take(strings[i], length))
				return 1;
		}
		call(&c, head[0], to, size, longs, strings);
		if (c.error) {
			fprintf(stderr, "%s\n", c.error);
			return 1;
		}
		answer[0] = (u32)strlen(to);
		answer[1] = (u32)counts.strings_cut;
		fwrite(answer, sizeof(answer), 1, stdout);
		fwrite(to, 1, answer[0], stdout);
		for (i = 0; i < nr_strings; i++)
			free(strings[i]);
		free(longs);
		free(to);
	}
	return 0;
}
