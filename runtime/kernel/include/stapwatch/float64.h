/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IEEE 754 arithmetic on numbers of 64 bits, by integers: a handler must not touch the
 * registers of the processor's own, which belong to the program that was interrupted.
 *
 * A number is its bits in a u64. Results are rounded to the nearest, halves to the even one,
 * and are those of the processor, bit by bit. There are no exceptions: what is invalid is a
 * NaN, what is too large infinite.
 */
#ifndef STAPWATCH_FLOAT64_H
#define STAPWATCH_FLOAT64_H

/* How sw_float64_to_int() rounds; the numbers are SystemTap's. */
enum sw_rounding {
	SW_ROUND_EVEN, /* to the nearest, halves to the even one */
	SW_ROUND_ZERO,
	SW_ROUND_DOWN,
	SW_ROUND_UP,
	SW_ROUND_AWAY, /* to the nearest, halves away from zero */
	SW_ROUND_ODD,  /* to the odd neighbour, if the number is no integer */
	SW_ROUND_ODD_TOO,
	SW_ROUNDINGS,
};

u64 sw_float64_add(u64 a, u64 b);
u64 sw_float64_subtract(u64 a, u64 b);
u64 sw_float64_multiply(u64 a, u64 b);
u64 sw_float64_divide(u64 a, u64 b);

/**
 * sw_float64_remainder() - a - b * n, where n is the integer nearest to a / b
 * @c: the handler's context, which pays
 * @a: dividend
 * @b: divisor
 *
 * Context: Handler.
 * Return: the remainder, which is exact, with a sign of its own: that of 5 by 3 is -1.
 */
u64 sw_float64_remainder(struct sw_context *c, u64 a, u64 b);

/**
 * sw_float64_sqrt() - the square root
 * @c: the handler's context, which pays
 * @a: the number
 *
 * Context: Handler.
 * Return: the root, correctly rounded.
 */
u64 sw_float64_sqrt(struct sw_context *c, u64 a);

/* Comparisons: false if one of the numbers is a NaN. */
bool sw_float64_equal(u64 a, u64 b);
bool sw_float64_less(u64 a, u64 b);
bool sw_float64_less_or_equal(u64 a, u64 b);

u64 sw_float64_from_int(s64 value);
/* A NaN keeps its low bits. */
u64 sw_float64_from_float32(u32 value);

/**
 * sw_float64_to_int() - the integer that a number rounds to
 * @a: the number
 * @rounding: how
 *
 * Context: Any.
 * Return: the integer; the smallest one for a NaN and for what has no integer of 64 bits, as
 * the processor has it.
 */
s64 sw_float64_to_int(u64 a, enum sw_rounding rounding);

/**
 * sw_float64_from_text() - the number at the start of a string
 * @c: the handler's context, which pays
 * @text: decimal digits, with an optional sign, point and exponent; or inf, or nan. White
 *	space may precede it.
 *
 * Context: Handler.
 * Return: the nearest number, correctly rounded; 0 if there is none.
 */
u64 sw_float64_from_text(struct sw_context *c, const char *text);

/**
 * sw_float64_to_text() - a number in decimal digits, correctly rounded
 * @c: the handler's context, which pays
 * @to: gets the text
 * @size: room at @to, with the NUL; the text is cut to it, and the cut is counted
 * @a: the number
 * @precision: digits behind the point; less than 1 means no point
 *
 * Context: Handler.
 */
void sw_float64_to_text(struct sw_context *c, char *to, u32 size, u64 a, s64 precision);

#endif
