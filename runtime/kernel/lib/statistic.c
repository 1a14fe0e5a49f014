// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Merges the rows that each CPU has accumulated, for handlers that ask for the
 * result.
 *
 * Handlers on other CPUs go on accumulating: no lock keeps them out, so that counting
 * a hit needs none. Every word is one aligned load, so it is not torn. The result need
 * not be the statistic at one instant: each word has the value that the lane had at some
 * time during the merge. A minimum and a maximum are loaded twice, to compare and to
 * keep; in between they can only move away from each other.
 */
#include "core/runtime.h"

/* The row of a lane, or for lane 0 the shared row; NULL after the last one. */
static const s64 *statistic_row(u32 lane, u32 offset, const void *shared)
{
	if (shared)
		return lane ? NULL : shared;
	if (lane >= sw_nr_lanes)
		return NULL;
	return (const s64 *)((const u8 *)sw_lane_areas[lane] + sw_script.lane_offset + offset);
}

/* Visits the row of each lane, or the one shared row. */
#define sw_for_each_row(row, lane, offset, shared)                                                 \
	for ((lane) = 0; ((row) = statistic_row(lane, offset, shared)); (lane)++)

s64 sw_lanes_sum(u32 offset)
{
	const s64 *row;
	u64 sum = 0;
	u32 lane;

	sw_for_each_row(row, lane, offset, NULL)
		sum += (u64)READ_ONCE(*row);
	return (s64)sum;
}

void sw_lanes_add(u64 *sums, u32 offset, u32 count)
{
	const s64 *words;
	u32 lane, i;

	__builtin_memset(sums, 0, count * sizeof(*sums));
	sw_for_each_row(words, lane, offset, NULL)
		for (i = 0; i < count; i++)
			sums[i] += (u64)READ_ONCE(words[i]);
}

/* The count of a row: a word of its own, or the sum of the buckets. */
static s64 statistic_count(const struct sw_stat_layout *layout, const s64 *row)
{
	u64 count = 0;
	u32 i;

	if (layout->count != SW_NO_WORD)
		return READ_ONCE(row[layout->count]);
	for (i = 0; i < layout->nr_buckets; i++)
		count += (u64)READ_ONCE(row[layout->buckets + i]);
	return (s64)count;
}

/*
 * Sample variance of all rows: the squared distances within each row, and those of the
 * rows' means from the mean of all. The variance within a row is rounded before it is
 * added.
 */
static s64 statistic_variance(const struct sw_stat_layout *layout, u32 offset, const void *shared,
			      const struct sw_stat_value *all)
{
	s64 mean = sw_divide((s64)((u64)all->sum << layout->shift), all->count);
	u64 squares = 0;
	const s64 *row;
	u32 lane;

	if (all->count < 2)
		return 0;
	sw_for_each_row(row, lane, offset, shared) {
		s64 n = statistic_count(layout, row);
		u64 distance = (u64)READ_ONCE(row[layout->mean]) - (u64)mean;

		if (n)
			squares += (u64)n * distance * distance;
		if (n > 1)
			squares += (u64)(n - 1) * (u64)sw_divide(READ_ONCE(row[layout->m2]), n - 1);
	}
	return sw_divide((s64)squares, all->count - 1) >>
	       (layout->shift < 32 ? 2 * layout->shift : 63);
}

void sw_stat_merge(const struct sw_stat_layout *layout, u32 offset, const void *shared,
		   struct sw_stat_value *value)
{
	struct sw_stat_value all = { 0 };
	const s64 *row;
	u32 lane;

	sw_for_each_row(row, lane, offset, shared) {
		s64 n = statistic_count(layout, row);

		if (!n)
			continue;
		if (layout->sum != SW_NO_WORD)
			all.sum += READ_ONCE(row[layout->sum]);
		if (layout->min != SW_NO_WORD && (!all.count || row[layout->min] < all.min))
			all.min = READ_ONCE(row[layout->min]);
		if (layout->max != SW_NO_WORD && (!all.count || row[layout->max] > all.max))
			all.max = READ_ONCE(row[layout->max]);
		all.count += n;
	}
	if (layout->mean != SW_NO_WORD && all.count)
		all.variance = statistic_variance(layout, offset, shared, &all);
	*value = all;
}

s64 sw_stat_bucket(const struct sw_stat_layout *layout, u32 offset, const void *shared, s64 index)
{
	const s64 *row;
	u64 sum = 0;
	u32 lane;

	if (index < 0 || index >= layout->nr_buckets)
		return 0;
	sw_for_each_row(row, lane, offset, shared)
		sum += (u64)READ_ONCE(row[layout->buckets + index]);
	return (s64)sum;
}

u8 *sw_event_buckets(u8 *p, const struct sw_stat_layout *layout, u32 offset, const void *shared)
{
	u32 i;

	p = sw_event_long(p, layout->nr_buckets);
	for (i = 0; i < layout->nr_buckets; i++)
		p = sw_event_long(p, sw_stat_bucket(layout, offset, shared, i));
	return p;
}

void sw_stat_variance(s64 *mean, s64 *m2, s64 n, s64 v, u32 shift)
{
	s64 value = (s64)((u64)v << shift);
	s64 before = value - *mean;

	*mean += sw_divide(before, n);
	*m2 += before * (value - *mean);
}
