// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * format.c - sprintf() of the script language; no kernel headers.
 *
 *	%[-+ #0][width|*][.precision|.*][l h]directive
 *
 *	d i        signed            u x X o   unsigned         p   0x and hexadecimal
 *	s          string            c         one byte         %%  a percent sign
 *	b          the value's bytes, `width` (1, 2, 4, 8) of them
 *	m M        `precision` bytes of kernel memory at an address, raw or in hexadecimal
 */
#include "stapwatch.h"
#include "fetch.h"

#define MOST_MEMORY 1024 /* bytes that one %m or %M shows */
#define WIDEST	    (1 << 20)

struct output {
	struct sw_context *c;
	char *to;
	u32 size; /* of `to` */
	u32 at;
	bool cut;
};

struct directive {
	bool left, plus, space, alternate, zero;
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

/* `n` bytes padded with spaces to the directive's width. */
static void put_padded(struct output *o, const struct directive *d, const char *bytes, s64 n)
{
	if (!d->left)
		put_times(o, ' ', d->width - n);
	put_bytes(o, bytes, n);
	if (d->left)
		put_times(o, ' ', d->width - n);
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

static void put_number(struct output *o, const struct directive *d, s64 value)
{
	char room[24];
	const char *prefix = "";
	bool is_signed = d->letter == 'd' || d->letter == 'i';
	bool negative = is_signed && value < 0;
	u64 magnitude = negative ? 0 - (u64)value : (u64)value;
	u32 base = 10, n, sign;
	s64 pad, zeros = 0;

	if (d->letter == 'x' || d->letter == 'X' || d->letter == 'p')
		base = 16;
	else if (d->letter == 'o')
		base = 8;
	n = digits_of(room + sizeof(room), magnitude, base,
		      d->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef");
	if (!d->precision && !magnitude)
		n = 0;

	if (negative)
		prefix = "-";
	else if (is_signed && d->plus)
		prefix = "+";
	else if (is_signed && d->space)
		prefix = " ";
	else if (d->letter == 'p' || (d->alternate && d->letter == 'x' && magnitude))
		prefix = "0x";
	else if (d->alternate && d->letter == 'X' && magnitude)
		prefix = "0X";
	else if (d->alternate && d->letter == 'o' && (magnitude || !n) && d->precision <= (s64)n)
		prefix = "0";
	sign = sw_length(prefix);

	if (d->precision > (s64)n)
		zeros = d->precision - n;
	pad = d->width - sign - zeros - n;
	if (d->zero && !d->left && d->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!d->left)
		put_times(o, ' ', pad);
	put_bytes(o, prefix, sign);
	put_times(o, '0', zeros);
	put_bytes(o, room + sizeof(room) - n, n);
	if (d->left)
		put_times(o, ' ', pad);
}

static void put_string(struct output *o, const struct directive *d, const char *s)
{
	s64 n = 0;

	while (s[n] && (d->precision < 0 || n < d->precision))
		n++;
	put_padded(o, d, s, n);
}

static void put_binary(struct output *o, const struct directive *d, s64 value)
{
	u32 bytes = d->width == 1 || d->width == 2 || d->width == 4 ? (u32)d->width : 8, i;

	for (i = 0; i < bytes; i++)
		put(o, (char)((u64)value >> 8 * i));
}

static void put_memory(struct output *o, const struct directive *d, u64 address)
{
	s64 n = d->precision < 1 ? 1 : d->precision > MOST_MEMORY ? MOST_MEMORY : d->precision, i;
	s64 pad = d->width - (d->letter == 'M' ? 2 * n : n);
	u8 byte;

	if (!d->left)
		put_times(o, ' ', pad);
	for (i = 0; i < n && !o->cut; i++) {
		if (sw_fetch_kernel(&byte, address + (u64)i, 1)) {
			sw_fail_at(o->c, "kernel read fault at 0x", address + (u64)i);
			return;
		}
		if (d->letter == 'M') {
			put(o, "0123456789abcdef"[byte >> 4]);
			put(o, "0123456789abcdef"[byte & 15]);
		} else {
			put(o, (char)byte);
		}
	}
	if (d->left)
		put_times(o, ' ', pad);
}

/* A number in the format, or the next argument for `*`; never wider than WIDEST. */
static s64 parse_number(const char **format, const s64 **longs)
{
	s64 n = 0;

	if (**format == '*') {
		(*format)++;
		n = *(*longs)++;
		return n > WIDEST ? WIDEST : n < -WIDEST ? -WIDEST : n;
	}
	for (; **format >= '0' && **format <= '9'; (*format)++)
		if (n < WIDEST)
			n = 10 * n + (**format - '0');
	return n;
}

/* `*format` is behind the percent sign, and ends behind the letter. */
static struct directive parse(const char **format, const s64 **longs)
{
	struct directive d = { .precision = -1 };

	for (;; (*format)++) {
		if (**format == '-')
			d.left = true;
		else if (**format == '+')
			d.plus = true;
		else if (**format == ' ')
			d.space = true;
		else if (**format == '#')
			d.alternate = true;
		else if (**format == '0')
			d.zero = true;
		else
			break;
	}
	d.width = parse_number(format, longs);
	if (d.width < 0) {
		d.left = true;
		d.width = -d.width;
	}
	if (**format == '.') {
		(*format)++;
		d.precision = parse_number(format, longs);
		if (d.precision < 0)
			d.precision = -1;
	}
	while (**format == 'l' || **format == 'h')
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
		case 'c': {
			char byte = (char)*longs++;

			put_padded(&o, &d, &byte, 1);
			break;
		}
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
