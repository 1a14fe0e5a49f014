/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Floating-point numbers of 64 bits as sign, exponent and mantissa: what float64.c and float64_text.c share. */
#ifndef STAPWATCH_FLOAT64_PARTS_H
#define STAPWATCH_FLOAT64_PARTS_H

#include "stapwatch.h"

#define FLOAT64_SIGN	 (1ull << 63)
#define FLOAT64_QUIET	 (1ull << 51)
#define FLOAT64_SPECIAL	 2047 /* the exponent of what is infinite, and of a NaN */
#define FLOAT64_BIAS	 1023
#define FLOAT64_INFINITE ((u64)FLOAT64_SPECIAL << 52)
#define FLOAT64_NAN	 (FLOAT64_SIGN | FLOAT64_INFINITE | FLOAT64_QUIET) /* of what is invalid */

/* mantissa * 2^(exponent - 63): the mantissa's highest bit is set */
struct float64_parts {
	s32 exponent;
	u64 mantissa;
};

static inline u64 float64_size(u64 a)
{
	return a & ~FLOAT64_SIGN;
}

static inline bool float64_negative(u64 a)
{
	return a >> 63;
}

static inline u64 float64_signed(bool negative, u64 size)
{
	return (u64)negative << 63 | size;
}

static inline bool float64_is_nan(u64 a)
{
	return float64_size(a) > FLOAT64_INFINITE;
}

static inline bool float64_is_infinite(u64 a)
{
	return float64_size(a) == FLOAT64_INFINITE;
}

/* mantissa >> by, with the lowest bit set if a set bit was lost: it decides how halves are rounded. */
static inline u64 float64_shift_right(u64 mantissa, s32 by)
{
	if (by > 63)
		return 1;
	return mantissa >> by | (by && mantissa << (64 - by));
}

/* The parts of a finite number other than 0. */
struct float64_parts float64_split(u64 a);

/* The number nearest to mantissa * 2^(exponent - 63); the mantissa's highest bit is set. */
u64 float64_round(bool negative, s32 exponent, u64 mantissa);

#endif
