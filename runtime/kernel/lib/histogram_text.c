// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Renders a histogram as text in the kernel, for sprint(@hist_log(x)); no kernel headers.
 *
 *	value |-------------------------------------------------- count
 *	    0 |                                                    0
 *	    1 |@@@@@@@@                                            4
 *
 * Rows look as runtime/events/histogram_text.py renders them for prints. A script's
 * string has space for few rows: rows past its end are not computed.
 */
#include "stapwatch.h"

#define HISTOGRAM_WIDTH	   50  /* columns of a full bar */
#define HISTOGRAM_ZERO	   64  /* the bucket of 0 in a logarithmic histogram */
#define HISTOGRAM_MAX_ROWS 192 /* scripts' histograms have at most 130 rows */
#define HISTOGRAM_BUCKET   200 /* instructions to look at one and to measure its label */
#define HISTOGRAM_ROW	   16  /* actions to draw one */

struct histogram_output {
	char *to;
	u32 size, length;
	bool cut;
};

struct histogram {
	const struct sw_stat_layout *layout;
	u32 offset;
	const void *shared;
	s64 low, interval;		   /* interval 0: logarithmic */
	s32 first, last;		   /* rows to show */
	s32 margin;			   /* empty rows that are shown next to others */
	u64 max;			   /* largest count */
	u64 used[HISTOGRAM_MAX_ROWS / 64]; /* bit n: bucket n has counted something */
};

static void histogram_put_char(struct histogram_output *t, char ch)
{
	if (t->length + 1 < t->size)
		t->to[t->length++] = ch;
	else
		t->cut = true;
}

static void histogram_repeat(struct histogram_output *t, char ch, u32 n)
{
	while (n--)
		histogram_put_char(t, ch);
}

static void histogram_put_string(struct histogram_output *t, const char *s)
{
	while (*s)
		histogram_put_char(t, *s++);
}

static u64 histogram_magnitude(s64 v)
{
	return v < 0 ? -(u64)v : (u64)v;
}

static u32 histogram_digits(u64 v)
{
	u32 n = 1;

	while (v /= 10)
		n++;
	return n;
}

static u32 histogram_width_of(s64 v)
{
	return histogram_digits(histogram_magnitude(v)) + (v < 0);
}

/* The first digit first, so that no buffer is needed. */
static void histogram_put_digits(struct histogram_output *t, u64 v)
{
	u64 unit = 1;
	u32 n;

	for (n = histogram_digits(v); n > 1; n--)
		unit *= 10;
	for (; unit; unit /= 10)
		histogram_put_char(t, (char)('0' + v / unit % 10));
}

static bool histogram_is_used(const struct histogram *h, s32 row)
{
	return h->used[row / 64] >> (row % 64) & 1;
}

/* '<' or '>' in front of a value whose row counts what is below or above it; 0 if none. */
static char histogram_sign_of(const struct histogram *h, s32 row)
{
	if (!h->interval)
		return 0;
	return row == 0 ? '<' : row == h->layout->nr_buckets - 1 ? '>' : 0;
}

static s64 histogram_value_of(const struct histogram *h, s32 row)
{
	char sign = histogram_sign_of(h, row);

	if (h->interval)
		return h->low + (row - (sign == '<' ? 0 : sign == '>' ? 2 : 1)) * h->interval;
	if (row < HISTOGRAM_ZERO)
		return (s64) - (1ULL << (HISTOGRAM_ZERO - 1 - row));
	return row == HISTOGRAM_ZERO ? 0 : (s64)(1ULL << (row - HISTOGRAM_ZERO - 1));
}

static u32 histogram_label_width(const struct histogram *h, s32 row)
{
	return histogram_width_of(histogram_value_of(h, row)) + !!histogram_sign_of(h, row);
}

/* Reads all buckets once: which rows are used, the largest count, the rows to show. */
static void histogram_survey(struct histogram *h)
{
	s32 n = h->layout->nr_buckets < HISTOGRAM_MAX_ROWS ? h->layout->nr_buckets
							   : HISTOGRAM_MAX_ROWS;
	s32 floor = h->interval ? 1 : HISTOGRAM_ZERO, ceiling = n - 1, row;

	h->first = n;
	h->last = -1;
	for (row = 0; row < n; row++) {
		u64 count = (u64)sw_stat_bucket(h->layout, h->offset, h->shared, row);

		if (!count)
			continue;
		h->used[row / 64] |= 1ULL << (row % 64);
		if (count > h->max)
			h->max = count;
		if (h->first == n)
			h->first = row;
		h->last = row;
	}
	if (h->first < floor)
		floor = 0;
	if (h->interval && !histogram_is_used(h, ceiling))
		ceiling--;
	h->first = h->first - h->margin > floor ? h->first - h->margin : floor;
	h->last = h->last + h->margin < ceiling ? h->last + h->margin : ceiling;
}

/*
 * Columns for the labels of the rows. For linear histograms SystemTap reserves columns
 * for `low` and for the value after the last row, too.
 */
static u32 histogram_label_columns(const struct histogram *h)
{
	u32 most = sizeof("value") - 1, found;
	s32 row;

	for (row = h->first; row <= h->last; row++) {
		found = histogram_label_width(h, row);
		most = found > most ? found : most;
	}
	if (h->interval) {
		found = histogram_width_of(h->low) + (h->first == 0);
		most = found > most ? found : most;
		found = histogram_width_of(h->low + h->interval * h->last) +
			(h->last == h->layout->nr_buckets - 1);
		most = found > most ? found : most;
	}
	return most;
}

/* An empty row is shown if it is close to a used one. */
static bool histogram_is_near_used(const struct histogram *h, s32 row)
{
	s32 from = row - h->margin > h->first ? row - h->margin : h->first;
	s32 to = row + h->margin < h->last ? row + h->margin : h->last;

	for (; from <= to; from++)
		if (histogram_is_used(h, from))
			return true;
	return false;
}

static void histogram_put_row(struct histogram_output *t, const struct histogram *h, s32 row,
			      u32 columns, u64 scale)
{
	u64 count = 0;
	s64 value = histogram_value_of(h, row);
	u32 bar;

	if (histogram_is_used(h, row))
		count = (u64)sw_stat_bucket(h->layout, h->offset, h->shared, row);
	/* other CPUs may have counted more since the largest count was read */
	bar = count / scale < HISTOGRAM_WIDTH ? (u32)(count / scale) : HISTOGRAM_WIDTH;
	histogram_repeat(t, ' ', columns - histogram_label_width(h, row));
	if (histogram_sign_of(h, row))
		histogram_put_char(t, histogram_sign_of(h, row));
	if (value < 0)
		histogram_put_char(t, '-');
	histogram_put_digits(t, histogram_magnitude(value));
	histogram_put_string(t, " |");
	histogram_repeat(t, '@', bar);
	histogram_repeat(t, ' ', HISTOGRAM_WIDTH - bar + 1);
	if (histogram_digits(count) < histogram_digits(h->max))
		histogram_repeat(t, ' ', histogram_digits(h->max) - histogram_digits(count));
	histogram_put_digits(t, count);
	histogram_put_char(t, '\n');
}

void sw_stat_draw(struct sw_context *c, char *to, u32 size, const struct sw_stat_layout *layout,
		  u32 row_offset, const void *shared, s64 low, s64 interval, s32 margin)
{
	struct histogram h = {
		.layout = layout,
		.offset = row_offset,
		.shared = shared,
		.low = low,
		.interval = interval,
		.margin = margin,
	};
	struct histogram_output t = { .to = to, .size = size };
	u32 rows = shared ? 1 : sw_nr_lanes;
	bool skipping = false;
	u32 columns;
	s32 row;

	to[0] = 0;
	if (!sw_charge_all(c, layout->nr_buckets, HISTOGRAM_BUCKET + rows * SW_MERGE_WORD,
			   "drawing", "buckets"))
		return;
	histogram_survey(&h);
	columns = histogram_label_columns(&h);
	histogram_repeat(&t, ' ', columns - (sizeof("value") - 1));
	histogram_put_string(&t, "value |");
	histogram_repeat(&t, '-', HISTOGRAM_WIDTH);
	histogram_put_string(&t, " count\n");
	for (row = h.first; row <= h.last && !t.cut; row++) {
		if (!histogram_is_near_used(&h, row)) {
			skipping = true;
			continue;
		}
		if (skipping) {
			histogram_repeat(&t, ' ', columns);
			histogram_put_string(&t, " ~\n");
			skipping = false;
		}
		if (!sw_charge(c, HISTOGRAM_ROW + rows * SW_MERGE_WORD / SW_ACTION))
			break;
		histogram_put_row(&t, &h, row, columns,
				  h.max > HISTOGRAM_WIDTH
					  ? (h.max + HISTOGRAM_WIDTH - 1) / HISTOGRAM_WIDTH
					  : 1);
	}
	histogram_put_char(&t, '\n');
	to[t.length] = 0;
	c->counts->strings_cut += t.cut;
}
