// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sprintf() of the script language; no kernel headers.
 *
 *	%[-+ #0][width|*][.precision|.*][l]conversion
 *
 *	d i        signed
 *	u x X o    unsigned
 *	p          0x and hexadecimal
 *	s          string
 *	c          one byte, with # as in C source
 *	b          the value's bytes: 1, 2, 4 or 8 of them
 *	m M        `precision` bytes of memory at an address, raw or in hexadecimal;
 *	           with # a process's memory
 *
 * runtime/events/printf.py formats the arguments of events by the same rules, which it
 * documents; both give the same text.
 */
#include "stapwatch.h"
#include "lib/fault_safe.h"

#define SPRINTF_MAX_WIDTH 8192 /* and precision */
#define SPRINTF_DIRECTIVE 3    /* actions that one takes without its text */
#define SPRINTF_CHUNK	  17   /* actions for SW_CHUNK bytes of the result */

struct sprintf_output {
	struct sw_context *c;
	char *to;
	u32 size; /* of `to` */
	u32 at;
	bool cut;
};

struct sprintf_directive {
	char flag;     /* 0: none */
	s64 width;     /* 0: none */
	s64 precision; /* -1: none */
	char letter;
};

static void sprintf_put(struct sprintf_output *o, char byte)
{
	if (o->at == o->size - 1) {
		o->cut = true;
		return;
	}
	o->to[o->at++] = byte;
	if (o->at % SW_CHUNK == 0 && !sw_charge(o->c, SPRINTF_CHUNK))
		o->cut = true;
}

static void sprintf_put_times(struct sprintf_output *o, char byte, s64 times)
{
	while (times-- > 0 && !o->cut)
		sprintf_put(o, byte);
}

static void sprintf_put_bytes(struct sprintf_output *o, const char *bytes, s64 n)
{
	s64 i;

	for (i = 0; i < n && !o->cut; i++)
		sprintf_put(o, bytes[i]);
}

/* `n` bytes padded to the directive's width. */
static void sprintf_put_padded(struct sprintf_output *o, const struct sprintf_directive *d,
			       const char *bytes, s64 n, char padding)
{
	if (d->flag != '-')
		sprintf_put_times(o, padding, d->width - n);
	sprintf_put_bytes(o, bytes, n);
	if (d->flag == '-')
		sprintf_put_times(o, padding, d->width - n);
}

/* Writes the digits of a number in front of `end`. Returns how many. */
static u32 sprintf_digits(char *end, u64 value, u32 base, const char *alphabet)
{
	u32 n = 0;

	do {
		*--end = alphabet[value % base];
		value /= base;
		n++;
	} while (value);
	return n;
}

static const char *sprintf_prefix(const struct sprintf_directive *d, bool negative)
{
	switch (d->letter) {
	case 'd':
	case 'i':
		return negative ? "-" : d->flag == '+' ? "+" : d->flag == ' ' ? " " : "";
	case 'p':
		return "0x";
	case 'x':
		return d->flag == '#' ? "0x" : "";
	case 'X':
		return d->flag == '#' ? "0X" : "";
	case 'o':
		return d->flag == '#' ? "0" : "";
	default:
		return "";
	}
}

static void sprintf_put_int64(struct sprintf_output *o, const struct sprintf_directive *d,
			      s64 value)
{
	char room[24];
	bool negative = (d->letter == 'd' || d->letter == 'i') && value < 0;
	const char *prefix = sprintf_prefix(d, negative);
	s64 first = sw_length(prefix), zeros = 0, n, pad;
	u32 base = 10;

	if (d->letter == 'x' || d->letter == 'X' || d->letter == 'p')
		base = 16;
	else if (d->letter == 'o')
		base = 8;
	n = sprintf_digits(room + sizeof(room), negative ? 0 - (u64)value : (u64)value, base,
			   d->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef");
	if (d->precision > n)
		zeros = d->precision - n;
	if (d->flag == '0' && d->width - first > n + zeros)
		zeros = d->width - first - n;
	pad = d->width - first - zeros - n;
	if (d->flag != '-')
		sprintf_put_times(o, ' ', pad);
	sprintf_put_bytes(o, prefix, first);
	sprintf_put_times(o, '0', zeros);
	sprintf_put_bytes(o, room + sizeof(room) - n, n);
	if (d->flag == '-')
		sprintf_put_times(o, ' ', pad);
}

static void sprintf_put_string(struct sprintf_output *o, const struct sprintf_directive *d,
			       const char *s)
{
	s64 n = sw_measure(o->c, s);

	if (d->precision >= 0 && n > d->precision)
		n = d->precision;
	sprintf_put_padded(o, d, s, n, ' ');
	if (d->flag == '0')
		sprintf_put(o, 0);
}

static void sprintf_put_character(struct sprintf_output *o, const struct sprintf_directive *d,
				  u8 byte)
{
	static const char escaped[] = "\a\b\f\n\r\t\v'\\", letters[] = "abfnrtv'\\";
	char text[4] = { '\\' };
	u32 i;

	if (d->flag == '#') {
		for (i = 0; i < sizeof(letters) - 1; i++) {
			if (byte == (u8)escaped[i]) {
				text[1] = letters[i];
				sprintf_put_padded(o, d, text, 2, ' ');
				return;
			}
		}
		if (byte < 32 || byte >= 127) {
			text[1] = (char)('0' + (byte >> 6));
			text[2] = (char)('0' + (byte >> 3 & 7));
			text[3] = (char)('0' + (byte & 7));
			sprintf_put_padded(o, d, text, 4, ' ');
			return;
		}
	}
	text[0] = (char)byte;
	sprintf_put_padded(o, d, text, 1, ' ');
}

static bool sprintf_is_size(s64 n)
{
	return n == 1 || n == 2 || n == 4 || n == 8;
}

static void sprintf_put_binary(struct sprintf_output *o, const struct sprintf_directive *d,
			       s64 value)
{
	char bytes[8];
	s64 n = sprintf_is_size(d->precision) ? d->precision
		: sprintf_is_size(d->width)   ? d->width
					      : 8,
	    i;

	for (i = 0; i < n; i++)
		bytes[i] = (char)((u64)value >> 8 * i);
	sprintf_put_padded(o, d, bytes, n, 0);
}

static void sprintf_put_memory(struct sprintf_output *o, const struct sprintf_directive *d,
			       u64 address)
{
	s64 n = sw_memory_length(d->precision), i;
	s64 pad = d->width - (d->letter == 'M' ? 2 * n : n);
	bool user = d->flag == '#';
	u8 byte;

	if (d->flag != '-')
		sprintf_put_times(o, ' ', pad);
	for (i = 0; i < n && !o->cut; i++, address++) {
		if (!sw_charge(o->c, 2))
			return;
		if (user ? sw_fetch_user(&byte, address, 1) : sw_fetch_kernel(&byte, address, 1)) {
			sw_fail_at(o->c, user ? "user read fault at 0x" : "kernel read fault at 0x",
				   address);
			return;
		}
		if (d->letter == 'M') {
			sprintf_put(o, "0123456789abcdef"[byte >> 4]);
			sprintf_put(o, "0123456789abcdef"[byte & 15]);
		} else {
			sprintf_put(o, (char)byte);
		}
	}
	if (d->flag == '-')
		sprintf_put_times(o, ' ', pad);
	if (d->flag == '0')
		sprintf_put(o, 0);
}

/* A width or precision: digits, or the next argument for `*`; `none` if there is neither. */
static s64 sprintf_parse_size(const char **format, const s64 **longs, s64 none)
{
	s64 n = 0;

	if (**format == '*') {
		(*format)++;
		n = (s32)(*(*longs)++);
	} else if (**format < '0' || **format > '9') {
		return none;
	}
	for (; **format >= '0' && **format <= '9'; (*format)++)
		if (n < SPRINTF_MAX_WIDTH)
			n = 10 * n + (**format - '0');
	return n < 0 ? 0 : n > SPRINTF_MAX_WIDTH ? SPRINTF_MAX_WIDTH : n;
}

/* Parses a directive; `*format` moves from after the percent sign to after the letter. */
static struct sprintf_directive sprintf_parse(const char **format, const s64 **longs)
{
	struct sprintf_directive d = { .precision = -1 };

	switch (**format) {
	case '-':
	case '+':
	case ' ':
	case '#':
	case '0':
		d.flag = *(*format)++;
		break;
	default:
		break;
	}
	d.width = sprintf_parse_size(format, longs, 0);
	if (**format == '.') {
		(*format)++;
		d.precision = sprintf_parse_size(format, longs, -1);
	}
	if (**format == 'l')
		(*format)++;
	d.letter = **format;
	if (d.letter)
		(*format)++;
	return d;
}

void sw_format(struct sw_context *c, char *to, u32 size, const char *format, const s64 *longs,
	       const char *const *strings)
{
	struct sprintf_output o = { .c = c, .to = to, .size = size };

	while (*format && !o.cut) {
		struct sprintf_directive d;

		if (*format != '%') {
			sprintf_put(&o, *format++);
			continue;
		}
		sw_charge_late(c, SPRINTF_DIRECTIVE);
		format++;
		d = sprintf_parse(&format, &longs);
		switch (d.letter) {
		case 'd':
		case 'i':
		case 'u':
		case 'x':
		case 'X':
		case 'o':
		case 'p':
			sprintf_put_int64(&o, &d, *longs++);
			break;
		case 'c':
			sprintf_put_character(&o, &d, (u8)*longs++);
			break;
		case 's':
			sprintf_put_string(&o, &d, *strings++);
			break;
		case 'b':
			sprintf_put_binary(&o, &d, *longs++);
			break;
		case 'm':
		case 'M':
			sprintf_put_memory(&o, &d, (u64)*longs++);
			break;
		case '%':
			sprintf_put(&o, '%');
			break;
		default:
			break;
		}
	}
	to[o.at] = 0;
	sw_charge_late(c, o.at % SW_CHUNK * SPRINTF_CHUNK / SW_CHUNK);
	if (o.cut && !c->error)
		c->counts->strings_cut++;
}
