// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Floating-point numbers in decimal text, correctly rounded; no kernel headers.
 *
 * Text becomes a number by products of 64 bits, whose error is known. Where the error leaves
 * open how a half is rounded, the text is compared with that half, digit by digit. So the
 * digits are stored nowhere, however many the text has.
 */
#include "lib/float64_parts.h"

#define FLOAT64_BILLION 1000000000u /* nine digits in 32 bits */
#define FLOAT64_LIMBS	34	    /* of 32 bits: 1075 bits behind the point, or 1024 before it */
#define FLOAT64_GROUPS	35	    /* of nine digits: 309 */
#define FLOAT64_WORD	19	    /* decimal digits in 64 bits */
#define FLOAT64_ERROR	64	    /* bound of a product's error, in units of its last bit */
#define FLOAT64_FAR	1000000	    /* an exponent that is as good as any larger one */
#define FLOAT64_COST	12	    /* actions for SW_STEPS characters of a number */

/* All decimal digits of a number, from the left. */
struct float64_digits {
	u32 group;		   /* what is left of nine digits, as 0.123456789 * 10^9 */
	u32 left;		   /* digits of it */
	u32 groups;		   /* before the point, not begun */
	u32 low, limbs;		   /* those of `limb` that are not 0 */
	u32 whole[FLOAT64_GROUPS]; /* the lowest first */
	u32 limb[FLOAT64_LIMBS];   /* behind the point, the lowest first */
};

static void float64_skip_zeros(struct float64_digits *d)
{
	while (d->low < d->limbs && !d->limb[d->low])
		d->low++;
}

/* Fills limbs with mantissa << by, for by < 32 * (n - 1); n >= 3. */
static void float64_place(u32 *limb, u32 n, u64 mantissa, u32 by)
{
	unsigned __int128 wide = (unsigned __int128)mantissa << by % 32;
	u32 i, at = by / 32;

	for (i = 0; i < n; i++)
		limb[i] = i >= at && i - at < 3 ? (u32)(wide >> 32 * (i - at)) : 0;
}

/* The digits of mantissa * 2^shift; mantissa is below 2^54. */
static bool float64_begin(struct sw_context *c, struct float64_digits *d, u64 mantissa, s32 shift)
{
	u32 n = shift < 0 ? (u32)(-shift + 31) / 32 : (u32)(shift + 54 + 31) / 32;
	u64 whole, rest;
	u32 i;

	d->left = d->groups = d->low = d->limbs = 0;
	if (!sw_charge(c, 5 + n * n / 10))
		return false;
	if (shift < 0) {
		whole = shift > -64 ? mantissa >> -shift : 0;
		for (; whole; whole /= FLOAT64_BILLION)
			d->whole[d->groups++] = (u32)(whole % FLOAT64_BILLION);
		if (shift > -64)
			mantissa &= (1ull << -shift) - 1;
		d->limbs = n < 3 ? 3 : n;
		float64_place(d->limb, d->limbs, mantissa, 32 * d->limbs - (u32)-shift);
		float64_skip_zeros(d);
		return true;
	}
	n = n < 3 ? 3 : n;
	float64_place(d->limb, n, mantissa, (u32)shift);
	while (n) {
		if (!d->limb[n - 1]) {
			n--;
			continue;
		}
		for (rest = 0, i = n; i--; rest %= FLOAT64_BILLION) {
			rest = rest << 32 | d->limb[i];
			d->limb[i] = (u32)(rest / FLOAT64_BILLION);
		}
		d->whole[d->groups++] = (u32)rest;
	}
	return true;
}

static u32 float64_next_digit(struct sw_context *c, struct float64_digits *d)
{
	u64 carry = 0;
	u32 digit, i;

	if (!d->left) {
		if (!sw_charge(c, 3 + (d->limbs - d->low) / 10))
			return 0;
		if (d->groups) {
			d->group = d->whole[--d->groups];
		} else {
			for (i = d->low; i < d->limbs; i++, carry >>= 32) {
				carry += (u64)d->limb[i] * FLOAT64_BILLION;
				d->limb[i] = (u32)carry;
			}
			d->group = (u32)carry;
			float64_skip_zeros(d);
		}
		d->left = 9;
	}
	digit = d->group / (FLOAT64_BILLION / 10);
	d->group = d->group % (FLOAT64_BILLION / 10) * 10;
	d->left--;
	return digit;
}

/* True if a digit that is left is not 0. */
static bool float64_has_rest(const struct float64_digits *d)
{
	u32 i;

	for (i = 0; i < d->groups; i++)
		if (d->whole[i])
			return true;
	return d->low < d->limbs || (d->left && d->group);
}

static u32 float64_char_digit(char ch)
{
	return (u32)(u8)ch - '0'; /* above 9: none */
}

/*
 * Compares the digits at `text`, the first of which is not 0 and stands `point` places before
 * the point, with mantissa * 2^shift, which is not 0. Returns -1, 0 or 1.
 */
static s32 float64_compare(struct sw_context *c, const char *text, s32 point, u64 mantissa,
			   s32 shift)
{
	struct float64_digits d;
	u32 digit, other;
	s32 at;
	u64 i;

	if (!float64_begin(c, &d, mantissa, shift))
		return 0;
	at = (s32)(9 * d.groups);
	for (digit = float64_next_digit(c, &d); !digit && !c->error; at--)
		digit = float64_next_digit(c, &d);
	if (at != point)
		return point < at ? -1 : 1;
	for (i = 0; sw_charge_step(c, i, FLOAT64_COST); i++) {
		if (text[i] == '.')
			continue;
		other = float64_char_digit(text[i]);
		if (other > 9)
			return digit || float64_has_rest(&d) ? -1 : 0;
		if (other != digit)
			return other < digit ? -1 : 1;
		digit = float64_has_rest(&d) ? float64_next_digit(c, &d) : 0;
	}
	return 0;
}

struct float64_power {
	u64 mantissa;
	s32 exponent;
};

/* 10^(2^i), and 10^-(2^i), rounded to 64 bits */
static const struct float64_power float64_powers[2][9] = {
	{
		{ 0xa000000000000000, 3 },
		{ 0xc800000000000000, 6 },
		{ 0x9c40000000000000, 13 },
		{ 0xbebc200000000000, 26 },
		{ 0x8e1bc9bf04000000, 53 },
		{ 0x9dc5ada82b70b59e, 106 },
		{ 0xc2781f49ffcfa6d5, 212 },
		{ 0x93ba47c980e98ce0, 425 },
		{ 0xaa7eebfb9df9de8e, 850 },
	},
	{
		{ 0xcccccccccccccccd, -4 },
		{ 0xa3d70a3d70a3d70a, -7 },
		{ 0xd1b71758e219652c, -14 },
		{ 0xabcc77118461cefd, -27 },
		{ 0xe69594bec44de15b, -54 },
		{ 0xcfb11ead453994ba, -107 },
		{ 0xa87fea27a539e9a5, -213 },
		{ 0xddd0467c64bce4a1, -426 },
		{ 0xc0314325637a193a, -851 },
	},
};

/* The product word * 10^power, with an error below FLOAT64_ERROR; |power| is below 512. */
static struct float64_parts float64_scale(u64 word, s32 power)
{
	const struct float64_power *by = float64_powers[power < 0];
	s32 zeros = __builtin_clzll(word);
	struct float64_parts parts = { 63 - zeros, word << zeros };
	u32 left = (u32)(power < 0 ? -power : power);
	unsigned __int128 product;

	for (; left; left >>= 1, by++) {
		if (!(left & 1))
			continue;
		product = (unsigned __int128)parts.mantissa * by->mantissa;
		parts.exponent += by->exponent + 1;
		if (!(product >> 127)) {
			product <<= 1;
			parts.exponent--;
		}
		parts.mantissa = (u64)(product >> 64);
	}
	return parts;
}

/* The number whose digits are at `text`, as for float64_compare(); the first `digits` of them are `word`. */
static u64 float64_nearest(struct sw_context *c, bool negative, const char *text, s32 point,
			   u64 word, s32 digits)
{
	struct float64_parts x;
	s32 biased, drop, order;
	u64 mantissa = 0, rest, half;
	bool up;

	if (point > 310)
		return float64_signed(negative, FLOAT64_INFINITE);
	if (point < -330)
		return float64_signed(negative, 0);
	x = float64_scale(word, point - digits);
	biased = x.exponent + FLOAT64_BIAS;
	if (biased >= FLOAT64_SPECIAL)
		return float64_signed(negative, FLOAT64_INFINITE);
	drop = biased > 0 ? 11 : 12 - biased;
	rest = half = 0;
	if (drop < 64) {
		mantissa = x.mantissa >> drop;
		rest = x.mantissa & ((1ull << drop) - 1);
		half = 1ull << (drop - 1);
	}
	if (rest > half + FLOAT64_ERROR || rest + FLOAT64_ERROR < half) {
		up = rest > half;
	} else {
		order = float64_compare(c, text, point, 2 * mantissa + 1, x.exponent - 64 + drop);
		up = order > 0 || (!order && mantissa & 1);
	}
	return float64_signed(negative, ((u64)(biased > 0 ? biased - 1 : 0) << 52) + mantissa + up);
}

/* True if a text begins with a word of three small letters, in any case. */
static bool float64_is_word(const char *text, const char *word)
{
	u32 i;

	for (i = 0; i < 3; i++)
		if ((text[i] | 32) != word[i])
			return false;
	return true;
}

/* What stands behind the digits: e, a sign, and digits. */
static s32 float64_exponent(struct sw_context *c, const char *text)
{
	bool negative = false;
	s32 value = 0;
	u64 i;

	if ((*text++ | 32) != 'e')
		return 0;
	if (*text == '-' || *text == '+')
		negative = *text++ == '-';
	for (i = 0; float64_char_digit(text[i]) < 10 && sw_charge_step(c, i, FLOAT64_COST); i++)
		if (value < FLOAT64_FAR)
			value = value * 10 + (s32)float64_char_digit(text[i]);
	return negative ? -value : value;
}

u64 sw_float64_from_text(struct sw_context *c, const char *text)
{
	const char *start = text, *first = NULL;
	bool negative = false, behind = false, any = false;
	s32 point = 0, digits = 0;
	u64 word = 0;
	u32 digit;

	while ((*text == ' ' || (*text >= '\t' && *text <= '\r')) &&
	       sw_charge_step(c, (u64)(text - start), FLOAT64_COST))
		text++;
	if (*text == '-' || *text == '+')
		negative = *text++ == '-';
	if (float64_is_word(text, "inf"))
		return float64_signed(negative, FLOAT64_INFINITE);
	if (float64_is_word(text, "nan"))
		return float64_signed(negative, FLOAT64_INFINITE | FLOAT64_QUIET);
	for (; sw_charge_step(c, (u64)(text - start), FLOAT64_COST); text++) {
		digit = float64_char_digit(*text);
		if (*text == '.' && !behind) {
			behind = true;
			continue;
		}
		if (digit > 9)
			break;
		any = true;
		if (!first && digit)
			first = text;
		if (first && digits < FLOAT64_WORD) {
			word = word * 10 + digit;
			digits++;
		}
		if (first ? !behind : behind)
			point += first ? 1 : -1;
	}
	if (!any || c->error)
		return 0;
	if (!first)
		return float64_signed(negative, 0);
	/* two more for the products and the digits that are not in the loop */
	if (!sw_charge(c, 2))
		return 0;
	return float64_nearest(c, negative, first, point + float64_exponent(c, text), word, digits);
}

struct float64_output {
	char *text;
	u32 size, done;
	bool cut;
};

static void float64_put(struct float64_output *o, char ch)
{
	if (o->done < o->size - 1)
		o->text[o->done++] = ch;
	else
		o->cut = true;
}

/* Adds 1 to the last digit; the digits begin at `start`. */
static void float64_carry(struct sw_context *c, struct float64_output *o, u32 start)
{
	u32 i = o->done, j;

	while (i-- > start && sw_charge_step(c, i, FLOAT64_COST)) {
		if (o->text[i] == '.')
			continue;
		if (o->text[i]++ != '9')
			return;
		o->text[i] = '0';
	}
	/* all were 9: a 1 comes before them */
	float64_put(o, '0');
	for (j = o->done - 1; j > start && sw_charge_step(c, j, FLOAT64_COST); j--)
		o->text[j] = o->text[j - 1];
	o->text[start] = '1';
}

/* The digits, rounded, of what is neither infinite nor a NaN. */
static void float64_put_number(struct sw_context *c, struct float64_output *o, u64 a, s64 precision)
{
	u64 mantissa = a & (FLOAT64_QUIET * 2 - 1);
	s32 exponent = (s32)(a >> 52 & FLOAT64_SPECIAL);
	struct float64_digits d;
	u32 digit = 0, start = o->done, last;
	s64 i;

	if (exponent)
		mantissa |= 1ull << 52;
	else
		exponent = 1;
	if (!float64_begin(c, &d, mantissa, exponent - FLOAT64_BIAS - 52))
		return;
	while ((d.groups || d.left) && !c->error) {
		digit = float64_next_digit(c, &d);
		if (digit || o->done > start)
			float64_put(o, (char)('0' + digit));
	}
	if (o->done == start)
		float64_put(o, '0');
	if (precision > 0)
		float64_put(o, '.');
	for (i = 0; i < precision && !o->cut && sw_charge_step(c, (u64)i, FLOAT64_COST); i++) {
		digit = float64_has_rest(&d) ? float64_next_digit(c, &d) : 0;
		float64_put(o, (char)('0' + digit));
	}
	if (o->cut || c->error || !float64_has_rest(&d))
		return;
	last = (u32)(o->text[o->done - 1] - '0');
	digit = float64_next_digit(c, &d);
	if (digit > 5 || (digit == 5 && (float64_has_rest(&d) || last & 1)))
		float64_carry(c, o, start);
}

void sw_float64_to_text(struct sw_context *c, char *to, u32 size, u64 a, s64 precision)
{
	struct float64_output o = { to, size, 0, false };
	const char *word = float64_is_nan(a) ? "nan" : "inf";

	if (float64_negative(a) && !float64_is_nan(a))
		float64_put(&o, '-');
	if (float64_size(a) >= FLOAT64_INFINITE)
		while (*word)
			float64_put(&o, *word++);
	else
		float64_put_number(c, &o, a, precision);
	to[o.done] = 0;
	c->counts->strings_cut += o.cut;
}
