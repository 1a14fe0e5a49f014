// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copying, joining, measuring and comparing script strings; no kernel headers.
 *
 * Whole chunks are paid for as a loop gets there, and the rest when it is done.
 */
#include "stapwatch.h"

/* A global must not keep half a string, so one of a usual length is copied whole. */
#define STRING_WHOLE 512

/* Pays for the bytes after the last whole chunk. */
static void string_charge_rest(struct sw_context *c, u32 bytes)
{
	sw_charge_late(c, sw_byte_actions(bytes % SW_CHUNK));
}

/* Returns the length of the copy. */
static u32 string_copy(struct sw_context *c, char *to, u32 size, const char *from)
{
	u32 most = size - 1, i = 0, end;

	for (;;) {
		end = most - i < SW_CHUNK ? most : i + SW_CHUNK;
		for (; i < end && from[i]; i++)
			to[i] = from[i];
		if (i < end || (i == most && !from[i]))
			break;
		if (i == most) {
			c->counts->strings_cut++;
			break;
		}
		if (!sw_charge(c, SW_CHUNK_ACTIONS) && i >= STRING_WHOLE)
			break;
	}
	to[i] = 0;
	string_charge_rest(c, i);
	return i;
}

void sw_copy(struct sw_context *c, char *to, u32 size, const char *from)
{
	string_copy(c, to, size, from);
}

u32 sw_append(struct sw_context *c, char *to, u32 size, u32 length, const char *text)
{
	return length + string_copy(c, to + length, size - length, text);
}

/* The compiler pays for the NULs, with the key's hash. */
void sw_copy_key(struct sw_context *c, char *to, u32 size, const char *from)
{
	u32 n = string_copy(c, to, size, from);

	for (; n % sizeof(u64) && n < size; n++)
		to[n] = 0;
	for (; n + sizeof(u64) <= size; n += sizeof(u64)) {
		__builtin_memset(to + n, 0, sizeof(u64));
		barrier(); /* not one call of memset(), which may be traced */
	}
	for (; n < size; n++)
		to[n] = 0;
}

u32 sw_measure(struct sw_context *c, const char *s)
{
	u32 n = 0, end;

	do {
		for (end = n + SW_CHUNK; n < end && s[n];)
			n++;
	} while (n == end && sw_charge(c, SW_CHUNK_ACTIONS));
	string_charge_rest(c, n);
	return n;
}

/*
 * A result that does not fit is cut at its end. `b` moves first: it may be `to`,
 * which `a` will overwrite.
 */
void sw_concat(struct sw_context *c, char *to, u32 size, const char *a, const char *b)
{
	u32 first = sw_measure(c, a), second = sw_measure(c, b);

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

s64 sw_find(struct sw_context *c, const char *s, const char *part)
{
	u64 steps = 0;
	s64 found = -1;
	u32 at = 0, i;

	do {
		for (i = 0; part[i] && s[at + i] == part[i]; i++)
			if (!sw_charge_step(c, steps++, 3))
				return -1;
		if (!part[i]) {
			found = at;
			break;
		}
		if (!sw_charge_step(c, steps++, 3))
			return -1;
	} while (s[at++]);
	sw_charge_last_steps(c, steps, 3);
	return found;
}

/* Two loads, two tests and a comparison: on 5.10, 11.2 instructions a byte. */
#define STRING_COMPARED 8

s32 sw_compare(struct sw_context *c, const char *a, const char *b)
{
	u32 i = 0, end;

	for (;;) {
		for (end = i + SW_CHUNK; i < end && a[i] && a[i] == b[i];)
			i++;
		if (i < end)
			break;
		if (c && !sw_charge(c, STRING_COMPARED))
			return 1; /* an element must not be deleted because of it */
	}
	if (c)
		string_charge_rest(c, i);
	return (s32)(u8)a[i] - (s32)(u8)b[i];
}
