// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers in text. */
#include "core/runtime.h"

#define INT64_CHARACTERS 3 /* that an action pays for */

/* The value of a digit; 36 if the character is none. */
static u32 int64_digit_of(char ch)
{
	if (ch >= '0' && ch <= '9')
		return (u32)(ch - '0');
	if (ch >= 'a' && ch <= 'z')
		return (u32)(ch - 'a') + 10;
	if (ch >= 'A' && ch <= 'Z')
		return (u32)(ch - 'A') + 10;
	return 36;
}

/* Pays for the character at `at`; true if it was paid for. */
static bool int64_charge(struct sw_context *c, const char *text, const char *at)
{
	return (at - text) % INT64_CHARACTERS || sw_charge(c, 1);
}

s64 sw_parse_number(struct sw_context *c, const char *text, u32 base)
{
	const char *start = text;
	bool negative = false;
	u64 value = 0;
	u32 digit;

	while ((*text == ' ' || (*text >= '\t' && *text <= '\r')) && int64_charge(c, start, text))
		text++;
	if (*text == '-' || *text == '+')
		negative = *text++ == '-';
	if ((base == 0 || base == 16) && text[0] == '0' && (text[1] | 32) == 'x' &&
	    int64_digit_of(text[2]) < 16) {
		text += 2;
		base = 16;
	}
	if (!base)
		base = *text == '0' ? 8 : 10;
	if (base < 2 || base > 36)
		return 0;
	while ((digit = int64_digit_of(*text)) < base && int64_charge(c, start, text)) {
		value = value * base + digit;
		text++;
	}
	return (s64)(negative ? 0 - value : value);
}
