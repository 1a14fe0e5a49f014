// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Arithmetic on floating-point numbers of 64 bits; no kernel headers. Decimal text is in
 * float64_text.c.
 */
#include "lib/float64_parts.h"

#define FLOAT64_STEP 10 /* bits of a quotient that a division finds: a remainder has 54 */

/* The operand that is a NaN, or both operands' first one. */
static u64 float64_nan_of(u64 a, u64 b)
{
	return (float64_is_nan(a) ? a : b) | FLOAT64_QUIET;
}

u64 float64_round(bool negative, s32 exponent, u64 mantissa)
{
	s32 biased = exponent + FLOAT64_BIAS;
	u64 low;

	if (biased >= FLOAT64_SPECIAL)
		return float64_signed(negative, FLOAT64_INFINITE);
	if (biased <= 0) {
		mantissa = float64_shift_right(mantissa, 1 - biased);
		biased = 1;
	}
	low = mantissa & 2047;
	mantissa >>= 11;
	mantissa += low > 1024 || (low == 1024 && mantissa & 1);
	/* The leading bit adds 1 to the exponent; so does a carry, up to the infinite. */
	return float64_signed(negative, ((u64)(biased - 1) << 52) + mantissa);
}

/* The same for any mantissa but 0. */
static u64 float64_normalise(bool negative, s32 exponent, u64 mantissa)
{
	s32 zeros = __builtin_clzll(mantissa);

	return float64_round(negative, exponent - zeros, mantissa << zeros);
}

struct float64_parts float64_split(u64 a)
{
	struct float64_parts parts = { (s32)(a >> 52 & FLOAT64_SPECIAL), a << 11 };
	s32 zeros;

	if (parts.exponent) {
		parts.mantissa |= 1ull << 63;
	} else {
		zeros = __builtin_clzll(parts.mantissa);
		parts.mantissa <<= zeros;
		parts.exponent = 1 - zeros;
	}
	parts.exponent -= FLOAT64_BIAS;
	return parts;
}

u64 sw_float64_add(u64 a, u64 b)
{
	struct float64_parts x, y;
	u64 swap;

	if (float64_is_nan(a) || float64_is_nan(b))
		return float64_nan_of(a, b);
	if (float64_size(a) < float64_size(b)) {
		swap = a;
		a = b;
		b = swap;
	}
	if (float64_is_infinite(a))
		return float64_is_infinite(b) && a != b ? FLOAT64_NAN : a;
	if (!float64_size(b))
		return float64_size(a) ? a : a & b; /* -0 is the sum of two -0 only */
	x = float64_split(a);
	y = float64_split(b);
	/* One bit above for a carry, and ten below: a sum that loses more is not near to 0. */
	x.mantissa >>= 1;
	y.mantissa = float64_shift_right(y.mantissa >> 1, x.exponent - y.exponent);
	x.mantissa += float64_negative(a) == float64_negative(b) ? y.mantissa : 0 - y.mantissa;
	if (!x.mantissa)
		return 0;
	return float64_normalise(float64_negative(a), x.exponent + 1, x.mantissa);
}

u64 sw_float64_subtract(u64 a, u64 b)
{
	return sw_float64_add(a, float64_is_nan(b) ? b : b ^ FLOAT64_SIGN);
}

u64 sw_float64_multiply(u64 a, u64 b)
{
	bool negative = float64_negative(a ^ b);
	struct float64_parts x, y;
	unsigned __int128 product;

	if (float64_is_nan(a) || float64_is_nan(b))
		return float64_nan_of(a, b);
	if (float64_is_infinite(a) || float64_is_infinite(b)) {
		if (!float64_size(a) || !float64_size(b))
			return FLOAT64_NAN;
		return float64_signed(negative, FLOAT64_INFINITE);
	}
	if (!float64_size(a) || !float64_size(b))
		return float64_signed(negative, 0);
	x = float64_split(a);
	y = float64_split(b);
	product = (unsigned __int128)x.mantissa * y.mantissa;
	return float64_normalise(negative, x.exponent + y.exponent + 1,
				 (u64)(product >> 64) | !!(u64)product);
}

u64 sw_float64_divide(u64 a, u64 b)
{
	bool negative = float64_negative(a ^ b);
	struct float64_parts x, y;
	u64 quotient, rest;
	u32 i;

	if (float64_is_nan(a) || float64_is_nan(b))
		return float64_nan_of(a, b);
	if (float64_is_infinite(a))
		return float64_is_infinite(b) ? FLOAT64_NAN
					      : float64_signed(negative, FLOAT64_INFINITE);
	if (float64_is_infinite(b))
		return float64_signed(negative, 0);
	if (!float64_size(b))
		return float64_size(a) ? float64_signed(negative, FLOAT64_INFINITE) : FLOAT64_NAN;
	if (!float64_size(a))
		return float64_signed(negative, 0);
	x = float64_split(a);
	y = float64_split(b);
	x.mantissa >>= 11;
	y.mantissa >>= 11;
	quotient = x.mantissa / y.mantissa; /* 0 or 1 */
	rest = x.mantissa % y.mantissa;
	for (i = 0; i < 60 / FLOAT64_STEP; i++) {
		rest <<= FLOAT64_STEP;
		quotient = quotient << FLOAT64_STEP | rest / y.mantissa;
		rest %= y.mantissa;
	}
	return float64_normalise(negative, x.exponent - y.exponent + 3, quotient | !!rest);
}

u64 sw_float64_remainder(struct sw_context *c, u64 a, u64 b)
{
	bool negative = float64_negative(a), odd;
	struct float64_parts x, y;
	u64 rest, divisor;
	s32 left, step;

	if (float64_is_nan(a) || float64_is_nan(b))
		return float64_nan_of(a, b);
	if (float64_is_infinite(a) || !float64_size(b))
		return FLOAT64_NAN;
	if (float64_is_infinite(b) || !float64_size(a))
		return a;
	x = float64_split(a);
	y = float64_split(b);
	left = x.exponent - y.exponent;
	if (left < -1)
		return a; /* less than half of the divisor */
	rest = x.mantissa >> 11;
	divisor = y.mantissa >> 11;
	if (left < 0) {
		divisor <<= 1;
		y.exponent--;
		left = 0;
	}
	odd = rest / divisor & 1;
	rest %= divisor;
	for (; left; left -= step) {
		if (left % (4 * FLOAT64_STEP) < FLOAT64_STEP && !sw_charge(c, 1))
			return 0;
		step = left < FLOAT64_STEP ? left : FLOAT64_STEP;
		rest <<= step;
		odd = rest / divisor & 1;
		rest %= divisor;
	}
	if (2 * rest > divisor || (2 * rest == divisor && odd)) {
		rest = divisor - rest;
		negative = !negative;
	}
	if (!rest)
		return float64_signed(float64_negative(a), 0);
	return float64_normalise(negative, y.exponent + 11, rest);
}

/* Finds the root bit by bit; `rest` is the square less the square of the root so far. */
u64 sw_float64_sqrt(struct sw_context *c, u64 a)
{
	struct float64_parts x;
	u64 root = 0, rest = 0, tried;
	u32 i;

	if (float64_is_nan(a))
		return a | FLOAT64_QUIET;
	if (!float64_size(a))
		return a;
	if (float64_negative(a))
		return FLOAT64_NAN;
	if (float64_is_infinite(a) || !sw_charge(c, 11))
		return a;
	x = float64_split(a);
	/* an even exponent: one or two bits before the point */
	x.mantissa >>= !(x.exponent & 1);
	for (i = 0; i < 56; i++) {
		rest = rest << 2 | x.mantissa >> 62;
		x.mantissa <<= 2;
		tried = root << 2 | 1;
		root <<= 1;
		if (rest >= tried) {
			rest -= tried;
			root |= 1;
		}
	}
	return float64_round(false, x.exponent >> 1, root << 8 | !!rest);
}

/* Numbers in the order of their values, as integers; 0 for both zeros. */
static s64 float64_order(u64 a)
{
	return float64_negative(a) ? -(s64)float64_size(a) : (s64)a;
}

bool sw_float64_equal(u64 a, u64 b)
{
	return !float64_is_nan(a) && !float64_is_nan(b) && float64_order(a) == float64_order(b);
}

bool sw_float64_less(u64 a, u64 b)
{
	return !float64_is_nan(a) && !float64_is_nan(b) && float64_order(a) < float64_order(b);
}

bool sw_float64_less_or_equal(u64 a, u64 b)
{
	return !float64_is_nan(a) && !float64_is_nan(b) && float64_order(a) <= float64_order(b);
}

u64 sw_float64_from_int(s64 value)
{
	if (!value)
		return 0;
	return float64_normalise(value < 0, 63, value < 0 ? 0 - (u64)value : (u64)value);
}

u64 sw_float64_from_float32(u32 value)
{
	u64 fraction = (u64)(value & 0x7fffff) << 29;
	s32 exponent = (s32)(value >> 23 & 255);
	bool negative = value >> 31;

	if (exponent == 255) {
		fraction |= fraction ? FLOAT64_QUIET : 0;
		return float64_signed(negative, FLOAT64_INFINITE | fraction);
	}
	if (exponent)
		return float64_signed(negative,
				      (u64)(exponent - 127 + FLOAT64_BIAS) << 52 | fraction);
	if (!fraction)
		return float64_signed(negative, 0);
	return float64_normalise(negative, -126, fraction << 11);
}

s64 sw_float64_to_int(u64 a, enum sw_rounding rounding)
{
	const s64 least = -0x7fffffffffffffffll - 1;
	bool negative = float64_negative(a), up;
	struct float64_parts x;
	const u64 half = 1ull << 63;
	u64 whole, rest;

	if (!float64_size(a))
		return 0;
	if ((a >> 52 & FLOAT64_SPECIAL) >= FLOAT64_BIAS + 63)
		return least; /* -2^63 is one of them */
	x = float64_split(a);
	/* `rest` is what follows the point, times 2^64 */
	if (x.exponent >= 0) {
		whole = x.mantissa >> (63 - x.exponent);
		rest = x.mantissa << (x.exponent + 1);
	} else {
		whole = 0;
		rest = float64_shift_right(x.mantissa, -1 - x.exponent);
	}
	switch (rounding) {
	case SW_ROUND_EVEN:
		up = rest > half || (rest == half && whole & 1);
		break;
	case SW_ROUND_DOWN:
		up = rest && negative;
		break;
	case SW_ROUND_UP:
		up = rest && !negative;
		break;
	case SW_ROUND_AWAY:
		up = rest >= half;
		break;
	case SW_ROUND_ODD:
	case SW_ROUND_ODD_TOO:
		up = rest && !(whole & 1);
		break;
	default:
		up = false;
	}
	whole += up;
	return (s64)(negative ? 0 - whole : whole);
}
