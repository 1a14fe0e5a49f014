// SPDX-License-Identifier: GPL-2.0-or-later
/* The functions that gcc calls on its own, so that what they do is counted: word by word. */
#include "stapwatch/types.h"

u64 sw_instructions;

void *memmove(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;
	size_t i;

	if (t <= f) {
		for (i = 0; i + 8 <= n; i += 8)
			*(u64 *)(t + i) = *(const u64 *)(f + i);
		for (; i < n; i++)
			t[i] = f[i];
		return to;
	}
	for (i = n; i >= 8; i -= 8)
		*(u64 *)(t + i - 8) = *(const u64 *)(f + i - 8);
	for (; i; i--)
		t[i - 1] = f[i - 1];
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	return memmove(to, from, n);
}

void *memset(void *to, int byte, size_t n)
{
	u64 word = 0x0101010101010101ull * (u8)byte;
	u8 *t = to;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8)
		*(u64 *)(t + i) = word;
	for (; i < n; i++)
		t[i] = (u8)byte;
	return to;
}
