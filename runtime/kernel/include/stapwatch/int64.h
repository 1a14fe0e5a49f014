/* SPDX-License-Identifier: GPL-2.0-or-later */
/* number.h - 64-bit arithmetic of scripts: it wraps, and shifts take their count modulo 64. */
#ifndef STAPWATCH_NUMBER_H
#define STAPWATCH_NUMBER_H

/* The divisor is not 0; the smallest number divided by -1 wraps where the processor would trap. */
static __always_inline s64 sw_divide(s64 a, s64 b)
{
	return b == -1 ? (s64)(0 - (u64)a) : a / b;
}

static __always_inline s64 sw_modulo(s64 a, s64 b)
{
	return b == -1 ? 0 : a % b;
}

static __always_inline s64 sw_shift_left(s64 a, s64 n)
{
	return (s64)((u64)a << (n & 63));
}

static __always_inline s64 sw_shift_right(s64 a, s64 n)
{
	return a >> (n & 63);
}

static __always_inline s64 sw_shift_right_logical(s64 a, s64 n)
{
	return (s64)((u64)a >> (n & 63));
}

/* The number that `text` begins with, in a base from 2 to 36; base 0: as in C. */
s64 sw_parse_number(const char *text, u32 base);

#endif
