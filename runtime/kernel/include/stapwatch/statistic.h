/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statistics: what `<<<` accumulates, in rows of words.
 *
 *   row: [ count | sum | min | max | mean | m2 | buckets[nr_buckets] ]
 *
 * A row holds only the words that the script or its metrics ask for, in the order
 * of struct sw_stat_layout; the generated code updates the words by name.
 *
 * A statistic that handlers only accumulate into has one row in each lane. Only
 * the handler that owns the CPU's block writes that row, with plain loads and
 * stores (see context.h). Whoever merges the rows reads words that other CPUs may
 * be changing: each word is one aligned 64-bit load, so no word is torn, but the
 * words of one row may be some hits apart. A statistic that handlers also read,
 * assign or delete has one row in the shared region, which its global's lock
 * protects.
 */
#ifndef STAPWATCH_STATISTIC_H
#define STAPWATCH_STATISTIC_H

/* In place of a word number: the row has no such word. */
#define SW_NO_WORD 0xffff

/**
 * struct sw_stat_layout - which words a row has
 * @count: word number of the count, or SW_NO_WORD; likewise the next five
 * @sum: sum of the values
 * @min: smallest value
 * @max: largest value
 * @mean: running mean, scaled by 2^@shift
 * @m2: sum of squared distances from the mean, scaled by 2^(2 * @shift)
 * @buckets: word number of the first bucket
 * @nr_buckets: number of buckets; 0 if there is no histogram
 * @shift: bits of fraction in @mean
 *
 * Mirrors Statistic of runtime/abi/manifest.py.
 */
struct sw_stat_layout {
	u16 count, sum, min, max, mean, m2;
	u16 buckets;
	u16 nr_buckets;
	u16 shift;
};

/**
 * struct sw_stat_value - a merged statistic
 * @count: number of values
 * @sum: sum of the values
 * @min: smallest value
 * @max: largest value
 * @variance: sample variance
 *
 * A member for which the layout has no word is 0.
 */
struct sw_stat_value {
	s64 count, sum, min, max, variance;
};

/* Instructions that merging takes for each row, and for each word of it. */
#define SW_MERGE_ROW  40
#define SW_MERGE_WORD 14

/**
 * sw_charge_lanes() - pays for work on a row of each lane
 * @c: the handler's context
 * @cost: instructions for each lane
 *
 * Context: Handler, after sw_prepare().
 * Return: false if the work must not be done; the handler has an error then.
 */
static __always_inline bool sw_charge_lanes(struct sw_context *c, u32 cost)
{
	return sw_charge(c, (u32)((u64)sw_nr_lanes * cost / SW_ACTION));
}

/**
 * sw_stat_merge() - merges a statistic's rows
 * @layout: which words the rows have
 * @row_offset: offset of the row in each lane
 * @shared: the one row in the shared region instead; NULL if there is none
 * @value: gets the result
 *
 * The caller has paid, by sw_charge_lanes() if the rows are in lanes. Generated code tests the
 * count first: an empty statistic has no minimum,
 * maximum or average.
 *
 * Cost: linear in the number of lanes; a cache miss for each lane that is in use.
 *
 * Context: Handler; of a shared row, with its global's lock held.
 */
void sw_stat_merge(const struct sw_stat_layout *layout, u32 row_offset, const void *shared,
		   struct sw_stat_value *value);

/**
 * sw_stat_bucket() - merges one bucket
 * @layout: which words the rows have
 * @row_offset: offset of the row in each lane
 * @shared: the one row in the shared region instead; NULL if there is none
 * @index: number of the bucket
 *
 * Cost: linear in the number of lanes.
 *
 * Context: Handler; of a shared row, with its global's lock held.
 * Return: the count; 0 if there is no such bucket.
 */
s64 sw_stat_bucket(const struct sw_stat_layout *layout, u32 row_offset, const void *shared,
		   s64 index);

/**
 * sw_event_buckets() - appends all buckets, merged, to an event record
 * @p: where the argument goes
 * @layout: which words the rows have
 * @row_offset: offset of the row in each lane
 * @shared: the one row in the shared region instead; NULL if there is none
 *
 * Context: Handler; of a shared row, with its global's lock held.
 * Return: where the next argument goes.
 */
u8 *sw_event_buckets(u8 *p, const struct sw_stat_layout *layout, u32 row_offset,
		     const void *shared);

/**
 * sw_stat_draw() - renders a histogram as text, for sprint(@hist_log(x))
 * @c: the handler's context
 * @to: gets the text
 * @size: bytes of @to; rows past the end of @to are not computed
 * @layout: which words the rows have
 * @row_offset: offset of the row in each lane
 * @shared: the one row in the shared region instead; NULL if there is none
 * @low: lower bound of a linear histogram
 * @interval: width of a linear histogram's buckets; 0 if it is logarithmic
 * @margin: empty rows that are shown next to others, at most as many as buckets
 *
 * Context: Handler; of a shared row, with its global's lock held.
 */
void sw_stat_draw(struct sw_context *c, char *to, u32 size, const struct sw_stat_layout *layout,
		  u32 row_offset, const void *shared, s64 low, s64 interval, s32 margin);

/**
 * sw_lanes_sum() - sum of one word of all lanes
 * @offset: offset of the word in each lane
 *
 * Cost: linear in the number of lanes.
 *
 * Context: Any.
 * Return: the sum, wrapped to 64 bits.
 */
s64 sw_lanes_sum(u32 offset);

/**
 * sw_lanes_add() - sums of consecutive words of all lanes
 * @sums: gets the sums, wrapped to 64 bits
 * @offset: offset of the first word in each lane
 * @count: number of words
 *
 * Context: Any.
 */
void sw_lanes_add(u64 *sums, u32 offset, u32 count);

/**
 * sw_stat_variance() - updates the words @mean and @m2 of a row for one value
 * @mean: running mean, scaled by 2^@shift
 * @m2: sum of squared distances from the mean, scaled by 2^(2 * @shift)
 * @n: number of values, this one included
 * @v: the value
 * @shift: bits of fraction
 *
 * Welford's method in whole numbers.
 *
 * Context: Handler; of a shared row, with its global's lock held.
 */
void sw_stat_variance(s64 *mean, s64 *m2, s64 n, s64 v, u32 shift);

/**
 * sw_bits() - position of the highest bit that is set
 * @v: the number
 *
 * Context: Any.
 * Return: 1 to 64; 0 for 0.
 */
static __always_inline u32 sw_bits(u64 v)
{
	return v ? 64 - __builtin_clzll(v) : 0;
}

/**
 * sw_log2_bucket() - bucket of a logarithmic histogram of values that are not negative
 * @v: the value
 *
 * Context: Any.
 * Return: 0 if v < 0, 1 if v == 0, k + 2 if 2^k <= v < 2^(k+1).
 */
static __always_inline u32 sw_log2_bucket(s64 v)
{
	return v < 0 ? 0 : 1 + sw_bits(v);
}

/**
 * sw_log2_signed_bucket() - bucket of a logarithmic histogram
 * @v: the value
 *
 * Context: Any.
 * Return: 64 if v == 0, 64 + k + 1 if 2^k <= v < 2^(k+1), 64 - k - 1 if that holds
 * for -v.
 */
static __always_inline u32 sw_log2_signed_bucket(s64 v)
{
	return v < 0 ? 64 - sw_bits(-(u64)v) : 64 + sw_bits(v);
}

/**
 * sw_linear_bucket() - bucket of a linear histogram
 * @v: the value
 * @low: lower bound of the first interval
 * @high: upper bound: no interval begins above it
 * @interval: width of an interval
 *
 * Context: Any.
 * Return: 0 if v < @low; then one bucket for each interval; the last bucket is for
 * all values above the intervals.
 */
static __always_inline u32 sw_linear_bucket(s64 v, s64 low, s64 high, s64 interval)
{
	u64 n = ((u64)v - (u64)low) / (u64)interval;
	u64 last = ((u64)high - (u64)low) / (u64)interval + 1;

	if (v < low)
		return 0;
	return 1 + (u32)(n < last ? n : last);
}

/**
 * sw_bounds_bucket() - bucket of a histogram with given bounds
 * @v: the value
 * @bounds: upper bounds, ascending, inclusive
 * @n: number of bounds
 *
 * Cost: log2(@n) comparisons.
 *
 * Context: Any.
 * Return: index of the first bound that is not below @v; @n if all are.
 */
static __always_inline u32 sw_bounds_bucket(s64 v, const s64 *bounds, u32 n)
{
	u32 low = 0;

	while (low < n) {
		u32 middle = (low + n) / 2;

		if (bounds[middle] < v)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/**
 * sw_exponential_bucket() - bucket of Prometheus' native histograms
 * @v: the value
 * @marks: places of the bounds in an octave, ascending, in units of 2^-63 of its start
 * @n: number of @marks, a power of two: buckets for each octave
 * @mark: the same of the only bound for negative values
 *
 * In octave 2^(b-1) < v <= 2^b, a bound lies below @v if, and only if, its mark is not above
 * v * 2^(64-b) - 1: this is exact for every bound, whole, fractional or irrational, and for all 63 bits
 * (runtime/abi/exponential.py).
 *
 * Cost: log2(@n) + 1 comparisons.
 *
 * Context: Any.
 * Return: 64 if v == 0, less for negative values, more for others.
 */
static __always_inline u32 sw_exponential_bucket(s64 v, const u64 *marks, u32 n, u64 mark)
{
	u64 size = v < 0 ? -(u64)v : (u64)v, place;
	u32 bits, below = 0, step;

	if (!v)
		return 64;
	bits = sw_bits(size - 1);
	place = (size << 1 << (63 - bits)) - 1;
	if (v < 0)
		return 64 - bits - (place >= mark);
	for (step = n / 2; step; step /= 2)
		below += place >= marks[below + step - 1] ? step : 0;
	below += place >= marks[below];
	return 65 - n + bits * n + below;
}

#endif
