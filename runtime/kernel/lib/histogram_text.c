// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drawing.c - sprint(@hist_log(x)): a histogram as text in the kernel; no kernel headers.
 *
 * Rows are as runtime/events/histogram_text.py draws them for prints. A string holds few of them:
 * what is behind its end is not computed.
 */
#include "stapwatch.h"

#define WIDTH	  50  /* columns of a full bar */
#define FRAME	  2   /* empty rows kept next to full ones */
#define ZERO	  64  /* the bucket of 0 in a logarithmic histogram */
#define MOST_ROWS 192 /* rows; scripts' histograms have at most 130 */

struct text {
	char *to;
	u32 size, length;
	bool cut;
};

struct drawing {
	const struct sw_stat_layout *layout;
	u32 offset;
	const void *shared;
	s64 low, interval; /* interval 0: logarithmic */
	s32 first, last;   /* rows to show */
	u64 most;
	u64 full[MOST_ROWS / 64]; /* bit n: bucket n has counted something */
};

static void put_char(struct text *t, char ch)
{
	if (t->length + 1 < t->size)
		t->to[t->length++] = ch;
	else
		t->cut = true;
}

static void repeat(struct text *t, char ch, u32 n)
{
	while (n--)
		put_char(t, ch);
}

static void put_all(struct text *t, const char *s)
{
	while (*s)
		put_char(t, *s++);
}

static u64 magnitude(s64 v)
{
	return v < 0 ? -(u64)v : (u64)v;
}

static u32 digits(u64 v)
{
	u32 n = 1;

	while (v /= 10)
		n++;
	return n;
}

static u32 width_of(s64 v)
{
	return digits(magnitude(v)) + (v < 0);
}

/* The digits of a number, the first one first: no buffer is needed for so few. */
static void put_digits(struct text *t, u64 v)
{
	u64 unit = 1;
	u32 n;

	for (n = digits(v); n > 1; n--)
		unit *= 10;
	for (; unit; unit /= 10)
		put_char(t, (char)('0' + v / unit % 10));
}

static bool is_full(const struct drawing *d, s32 row)
{
	return d->full[row / 64] >> (row % 64) & 1;
}

/* What the row counts is above or below its value: '<' or '>' stands before it. */
static char sign_of(const struct drawing *d, s32 row)
{
	if (!d->interval)
		return 0;
	return row == 0 ? '<' : row == d->layout->nr_buckets - 1 ? '>' : 0;
}

static s64 value_of(const struct drawing *d, s32 row)
{
	char sign = sign_of(d, row);

	if (d->interval)
		return d->low + (row - (sign == '<' ? 0 : sign == '>' ? 2 : 1)) * d->interval;
	if (row < ZERO)
		return (s64) - (1ULL << (ZERO - 1 - row));
	return row == ZERO ? 0 : (s64)(1ULL << (row - ZERO - 1));
}

static u32 label_width(const struct drawing *d, s32 row)
{
	return width_of(value_of(d, row)) + !!sign_of(d, row);
}

/* Looks at all buckets once. */
static void survey(struct drawing *d)
{
	s32 n = d->layout->nr_buckets < MOST_ROWS ? d->layout->nr_buckets : MOST_ROWS;
	s32 floor = d->interval ? 1 : ZERO, ceiling = n - 1, row;

	d->first = n;
	d->last = -1;
	for (row = 0; row < n; row++) {
		u64 count = (u64)sw_stat_bucket(d->layout, d->offset, d->shared, row);

		if (!count)
			continue;
		d->full[row / 64] |= 1ULL << (row % 64);
		if (count > d->most)
			d->most = count;
		if (d->first == n)
			d->first = row;
		d->last = row;
	}
	if (d->first < floor)
		floor = 0;
	if (d->interval && !is_full(d, ceiling))
		ceiling--;
	d->first = d->first - FRAME > floor ? d->first - FRAME : floor;
	d->last = d->last + FRAME < ceiling ? d->last + FRAME : ceiling;
}

/* Columns for the names of rows; of linear ones SystemTap makes room for `low` and for the value
 * behind the last row, too. */
static u32 margin_of(const struct drawing *d)
{
	u32 most = sizeof("value") - 1, found;
	s32 row;

	for (row = d->first; row <= d->last; row++) {
		found = label_width(d, row);
		most = found > most ? found : most;
	}
	if (d->interval) {
		found = width_of(d->low) + (d->first == 0);
		most = found > most ? found : most;
		found = width_of(d->low + d->interval * d->last) +
			(d->last == d->layout->nr_buckets - 1);
		most = found > most ? found : most;
	}
	return most;
}

static bool near_full(const struct drawing *d, s32 row)
{
	s32 from = row - FRAME > d->first ? row - FRAME : d->first;
	s32 to = row + FRAME < d->last ? row + FRAME : d->last;

	for (; from <= to; from++)
		if (is_full(d, from))
			return true;
	return false;
}

static void put_row(struct text *t, const struct drawing *d, s32 row, u32 margin, u64 scale)
{
	u64 count = 0;
	s64 value = value_of(d, row);
	u32 bar;

	if (is_full(d, row))
		count = (u64)sw_stat_bucket(d->layout, d->offset, d->shared, row);
	bar = count / scale < WIDTH ? (u32)(count / scale) : WIDTH; /* it may have grown */
	repeat(t, ' ', margin - label_width(d, row));
	if (sign_of(d, row))
		put_char(t, sign_of(d, row));
	if (value < 0)
		put_char(t, '-');
	put_digits(t, magnitude(value));
	put_all(t, " |");
	repeat(t, '@', bar);
	repeat(t, ' ', WIDTH - bar + 1);
	if (digits(count) < digits(d->most))
		repeat(t, ' ', digits(d->most) - digits(count));
	put_digits(t, count);
	put_char(t, '\n');
}

void sw_stat_draw(struct sw_context *c, char *to, u32 size, const struct sw_stat_layout *layout,
		  u32 row_offset, const void *shared, s64 low, s64 interval)
{
	struct drawing d = {
		.layout = layout,
		.offset = row_offset,
		.shared = shared,
		.low = low,
		.interval = interval,
	};
	struct text t = { .to = to, .size = size };
	bool skipping = false;
	u32 margin;
	s32 row;

	survey(&d);
	margin = margin_of(&d);
	repeat(&t, ' ', margin - (sizeof("value") - 1));
	put_all(&t, "value |");
	repeat(&t, '-', WIDTH);
	put_all(&t, " count\n");
	for (row = d.first; row <= d.last && !t.cut; row++) {
		if (!near_full(&d, row)) {
			skipping = true;
			continue;
		}
		if (skipping) {
			repeat(&t, ' ', margin);
			put_all(&t, " ~\n");
			skipping = false;
		}
		put_row(&t, &d, row, margin, d.most > WIDTH ? (d.most + WIDTH - 1) / WIDTH : 1);
	}
	put_char(&t, '\n');
	to[t.length] = 0;
	c->counts->strings_cut += t.cut;
}
