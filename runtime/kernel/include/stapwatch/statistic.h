/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * statistic.h - what `<<<` adds up: rows of words, one for each CPU, merged by who reads.
 *
 * A row holds only what the script or its metrics ask for; the generated code updates the words by
 * name.
 */
#ifndef STAPWATCH_STATISTIC_H
#define STAPWATCH_STATISTIC_H

/* Word numbers in a row; SW_NO_WORD: not kept. Mirrors runtime/abi/manifest.py's Statistic. */
#define SW_NO_WORD 0xffff

struct sw_stat_layout {
	u16 count, sum, min, max, mean, m2;
	u16 buckets;	/* first bucket's word */
	u16 nr_buckets; /* 0: no histogram */
	u16 shift;
};

struct sw_stat_value {
	s64 count, sum, min, max, variance;
};

/*
 * Merges row `row_offset` (from a lane's start) of all lanes, or with `shared` the one row there.
 * Generated code asks for the count first: an empty statistic has no minimum, maximum or average.
 */
void sw_stat_merge(const struct sw_stat_layout *layout, u32 row_offset, const void *shared,
		   struct sw_stat_value *value);

/* One merged bucket, and all of them as an event's argument. */
s64 sw_stat_bucket(const struct sw_stat_layout *layout, u32 row_offset, const void *shared,
		   s64 index);
u8 *sw_event_buckets(u8 *p, const struct sw_stat_layout *layout, u32 row_offset,
		     const void *shared);

/* All of them as a drawing; `interval` 0: the buckets are logarithmic. */
void sw_stat_draw(struct sw_context *c, char *to, u32 size, const struct sw_stat_layout *layout,
		  u32 row_offset, const void *shared, s64 low, s64 interval);

/* The sum of a number in all lanes. */
s64 sw_lanes_sum(u32 offset);

/* The same of `count` words, from `offset` on. */
void sw_lanes_add(u64 *sums, u32 offset, u32 count);

/*
 * Welford's running mean, scaled by 2^shift, and sum of squared distances, scaled by its square, in
 * whole numbers. Call after the count has grown to `n`.
 */
void sw_stat_variance(s64 *mean, s64 *m2, s64 n, s64 v, u32 shift);

/* Position of the highest bit set, 1..64; 0 for 0. */
static __always_inline u32 sw_bits(u64 v)
{
	return v ? 64 - __builtin_clzll(v) : 0;
}

/* 0: v < 0, 1: v == 0, k + 2: 2^k <= v < 2^(k+1). */
static __always_inline u32 sw_log2_bucket(s64 v)
{
	return v < 0 ? 0 : 1 + sw_bits(v);
}

/* 64: v == 0, 64 + k + 1: 2^k <= v < 2^(k+1), 64 - k - 1: the same of -v. */
static __always_inline u32 sw_log2_signed_bucket(s64 v)
{
	return v < 0 ? 64 - sw_bits(-(u64)v) : 64 + sw_bits(v);
}

/* 0: v < low, then one for each interval that begins up to high, the last: all above those. */
static __always_inline u32 sw_linear_bucket(s64 v, s64 low, s64 high, s64 interval)
{
	u64 n = ((u64)v - (u64)low) / (u64)interval;
	u64 last = ((u64)high - (u64)low) / (u64)interval + 1;

	if (v < low)
		return 0;
	return 1 + (u32)(n < last ? n : last);
}

/* The first bound that is not below `v`; `n`: above all. */
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

#endif
