// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * format.c - sprintf() of the script language; no kernel headers.
 *
 *	%[-+ #0][width|*][.precision|.*][l]conversion
 *
 *	d i        signed            u x X o   unsigned         p   0x and hexadecimal
 *	s          string            c         one byte, with # as in C source
 *	b          the value's bytes, 1, 2, 4 or 8 of them
 *	m M        `precision` bytes of memory at an address, raw or in hexadecimal; with # a
 *process's
 *
 * What readers of events make of a format is in runtime/events/printf.py, which tells the rules;
 *both give the same text.
 */
#include "stapwatch.h"
#include "lib/fault_safe.h"

#define WIDEST 8192

struct output {
	struct sw_context *c;
	char *to;
	u32 size; /* of `to` */
	u32 at;
	bool cut;
};

struct directive {
	char flag;     /* 0: none */
	s64 width;     /* 0: none */
	s64 precision; /* -1: none */
	char letter;
};

static void put(struct output *o, char byte)
{
	if (o->at < o->size - 1)
		o->to[o->at++] = byte;
	else
		o->cut = true;
}

static void put_times(struct output *o, char byte, s64 times)
{
	while (times-- > 0 && !o->cut)
		put(o, byte);
}

static void put_bytes(struct output *o, const char *bytes, s64 n)
{
	s64 i;

	for (i = 0; i < n && !o->cut; i++)
		put(o, bytes[i]);
}

/* `n` bytes padded to the directive's width. */
static void put_padded(struct output *o, const struct directive *d, const char *bytes, s64 n,
		       char padding)
{
	if (d->flag != '-')
		put_times(o, padding, d->width - n);
	put_bytes(o, bytes, n);
	if (d->flag == '-')
		put_times(o, padding, d->width - n);
}

static u32 digits_of(char *end, u64 value, u32 base, const char *alphabet)
{
	u32 n = 0;

	do {
		*--end = alphabet[value % base];
		value /= base;
		n++;
	} while (value);
	return n;
}

static const char *prefix_of(const struct directive *d, bool negative)
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

static void put_number(struct output *o, const struct directive *d, s64 value)
{
	char room[24];
	bool negative = (d->letter == 'd' || d->letter == 'i') && value < 0;
	const char *prefix = prefix_of(d, negative);
	s64 first = sw_length(prefix), zeros = 0, n, pad;
	u32 base = 10;

	if (d->letter == 'x' || d->letter == 'X' || d->letter == 'p')
		base = 16;
	else if (d->letter == 'o')
		base = 8;
	n = digits_of(room + sizeof(room), negative ? 0 - (u64)value : (u64)value, base,
		      d->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef");
	if (d->precision > n)
		zeros = d->precision - n;
	if (d->flag == '0' && d->width - first > n + zeros)
		zeros = d->width - first - n;
	pad = d->width - first - zeros - n;
	if (d->flag != '-')
		put_times(o, ' ', pad);
	put_bytes(o, prefix, first);
	put_times(o, '0', zeros);
	put_bytes(o, room + sizeof(room) - n, n);
	if (d->flag == '-')
		put_times(o, ' ', pad);
}

static void put_string(struct output *o, const struct directive *d, const char *s)
{
	s64 n = 0;

	while (s[n] && (d->precision < 0 || n < d->precision))
		n++;
	put_padded(o, d, s, n, ' ');
	if (d->flag == '0')
		put(o, 0);
}

static void put_character(struct output *o, const struct directive *d, u8 byte)
{
	static const char escaped[] = "\a\b\f\n\r\t\v'\\", letters[] = "abfnrtv'\\";
	char text[4] = { '\\' };
	u32 i;

	if (d->flag == '#') {
		for (i = 0; i < sizeof(letters) - 1; i++) {
			if (byte == (u8)escaped[i]) {
				text[1] = letters[i];
				put_padded(o, d, text, 2, ' ');
				return;
			}
		}
		if (byte < 32 || byte >= 127) {
			text[1] = (char)('0' + (byte >> 6));
			text[2] = (char)('0' + (byte >> 3 & 7));
			text[3] = (char)('0' + (byte & 7));
			put_padded(o, d, text, 4, ' ');
			return;
		}
	}
	text[0] = (char)byte;
	put_padded(o, d, text, 1, ' ');
}

static bool is_size(s64 n)
{
	return n == 1 || n == 2 || n == 4 || n == 8;
}

static void put_binary(struct output *o, const struct directive *d, s64 value)
{
	char bytes[8];
	s64 n = is_size(d->precision) ? d->precision : is_size(d->width) ? d->width : 8, i;

	for (i = 0; i < n; i++)
		bytes[i] = (char)((u64)value >> 8 * i);
	put_padded(o, d, bytes, n, 0);
}

static void put_memory(struct output *o, const struct directive *d, u64 address)
{
	s64 n = sw_memory_length(d->precision), i;
	s64 pad = d->width - (d->letter == 'M' ? 2 * n : n);
	bool user = d->flag == '#';
	u8 byte;

	if (d->flag != '-')
		put_times(o, ' ', pad);
	for (i = 0; i < n && !o->cut; i++, address++) {
		if (user ? sw_fetch_user(&byte, address, 1) : sw_fetch_kernel(&byte, address, 1)) {
			sw_fail_at(o->c, user ? "user read fault at 0x" : "kernel read fault at 0x",
				   address);
			return;
		}
		if (d->letter == 'M') {
			put(o, "0123456789abcdef"[byte >> 4]);
			put(o, "0123456789abcdef"[byte & 15]);
		} else {
			put(o, (char)byte);
		}
	}
	if (d->flag == '-')
		put_times(o, ' ', pad);
	if (d->flag == '0')
		put(o, 0);
}

/* A number in the format, or the next argument for `*`; `none` where there is neither. */
static s64 parse_number(const char **format, const s64 **longs, s64 none)
{
	s64 n = 0;

	if (**format == '*') {
		(*format)++;
		n = (s32) * (*longs)++;
	} else if (**format < '0' || **format > '9') {
		return none;
	}
	for (; **format >= '0' && **format <= '9'; (*format)++)
		if (n < WIDEST)
			n = 10 * n + (**format - '0');
	return n < 0 ? 0 : n > WIDEST ? WIDEST : n;
}

/* `*format` is behind the percent sign, and ends behind the letter. */
static struct directive parse(const char **format, const s64 **longs)
{
	struct directive d = { .precision = -1 };

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
	d.width = parse_number(format, longs, 0);
	if (**format == '.') {
		(*format)++;
		d.precision = parse_number(format, longs, -1);
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
	struct output o = { .c = c, .to = to, .size = size };

	while (*format && !o.cut) {
		struct directive d;

		if (*format != '%') {
			put(&o, *format++);
			continue;
		}
		format++;
		d = parse(&format, &longs);
		switch (d.letter) {
		case 'd':
		case 'i':
		case 'u':
		case 'x':
		case 'X':
		case 'o':
		case 'p':
			put_number(&o, &d, *longs++);
			break;
		case 'c':
			put_character(&o, &d, (u8)*longs++);
			break;
		case 's':
			put_string(&o, &d, *strings++);
			break;
		case 'b':
			put_binary(&o, &d, *longs++);
			break;
		case 'm':
		case 'M':
			put_memory(&o, &d, (u64)*longs++);
			break;
		case '%':
			put(&o, '%');
			break;
		default:
			break;
		}
	}
	to[o.at] = 0;
	if (o.cut)
		c->counts->strings_cut++;
}
