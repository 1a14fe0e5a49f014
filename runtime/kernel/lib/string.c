// SPDX-License-Identifier: GPL-2.0-or-later
/* Copying, joining and comparing script strings; no kernel headers. */
#include "stapwatch.h"

void sw_copy(struct sw_context *c, char *to, u32 size, const char *from)
{
	u32 i;

	for (i = 0; from[i]; i++) {
		if (i == size - 1) {
			c->counts->strings_cut++;
			break;
		}
		to[i] = from[i];
	}
	to[i] = 0;
}

void sw_copy_key(struct sw_context *c, char *to, u32 size, const char *from)
{
	u32 n;

	sw_copy(c, to, size, from);
	for (n = sw_length(to); n < size; n++)
		to[n] = 0;
}

/*
 * A result that does not fit is cut at its end. `b` moves first: it may be `to`,
 * which `a` will overwrite.
 */
void sw_concat(struct sw_context *c, char *to, u32 size, const char *a, const char *b)
{
	u32 first = sw_length(a), second = sw_length(b);

	if (first > size - 1)
		first = size - 1;
	if (second > size - 1 - first)
		second = size - 1 - first;
	if (a[first] || b[second])
		c->counts->strings_cut++;
	__builtin_memmove(to + first, b, second);
	if (a != to)
		__builtin_memmove(to, a, first);
	to[first + second] = 0;
}

s32 sw_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (s32)(u8)*a - (s32)(u8)*b;
}
