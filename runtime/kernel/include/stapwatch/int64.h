/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic of the script language: 64-bit, signed, wrapping. Shifts take their
 * count modulo 64. None of these functions traps.
 */
#ifndef STAPWATCH_INT64_H
#define STAPWATCH_INT64_H

/**
 * sw_divide() - quotient, rounded towards zero
 * @a: dividend
 * @b: divisor; not 0, the caller has tested it
 *
 * Context: Any.
 * Return: the quotient. The smallest number divided by -1 wraps, where the
 * processor would trap.
 */
static __always_inline s64 sw_divide(s64 a, s64 b)
{
	return b == -1 ? (s64)(0 - (u64)a) : a / b;
}

/**
 * sw_modulo() - remainder, with the sign of the dividend
 * @a: dividend
 * @b: divisor; not 0, the caller has tested it
 *
 * Context: Any.
 * Return: the remainder.
 */
static __always_inline s64 sw_modulo(s64 a, s64 b)
{
	return b == -1 ? 0 : a % b;
}

/**
 * sw_shift_left() - a << n
 * @a: the number
 * @n: bits, taken modulo 64
 *
 * Context: Any.
 * Return: the shifted number.
 */
static __always_inline s64 sw_shift_left(s64 a, s64 n)
{
	return (s64)((u64)a << (n & 63));
}

/**
 * sw_shift_right() - a >> n, filled with the sign bit
 * @a: the number
 * @n: bits, taken modulo 64
 *
 * Context: Any.
 * Return: the shifted number.
 */
static __always_inline s64 sw_shift_right(s64 a, s64 n)
{
	return a >> (n & 63);
}

/**
 * sw_shift_right_logical() - a >>> n, filled with zeros
 * @a: the number
 * @n: bits, taken modulo 64
 *
 * Context: Any.
 * Return: the shifted number.
 */
static __always_inline s64 sw_shift_right_logical(s64 a, s64 n)
{
	return (s64)((u64)a >> (n & 63));
}

/**
 * sw_parse_number() - the number at the start of a string, as strtol() reads it
 * @c: the handler's context, which pays for the characters
 * @text: the string; white space and a sign may precede the digits
 * @base: 2 to 36; 0 for C's prefixes (0x, 0)
 *
 * Context: Handler.
 * Return: the number, wrapped to 64 bits; 0 if there is none, or for another @base.
 */
s64 sw_parse_number(struct sw_context *c, const char *text, u32 base);

#endif
