// SPDX-License-Identifier: GPL-2.0-or-later
/* statistic.c - merging what each CPU accumulated, for handlers that ask. */
#include "runtime.h"

/* Row `offset` of one lane, or the shared row: lanes are visited until this gives NULL. */
static const s64 *row_of(u32 lane, u32 offset, const void *shared)
{
	if (shared)
		return lane ? NULL : shared;
	if (lane >= sw_nr_lanes)
		return NULL;
	return (const s64 *)((const u8 *)sw_lane_areas[lane] + sw_script.lane_offset + offset);
}

s64 sw_lanes_sum(u32 offset)
{
	const s64 *row;
	u64 sum = 0;
	u32 lane;

	for (lane = 0; (row = row_of(lane, offset, NULL)); lane++)
		sum += (u64)READ_ONCE(*row);
	return (s64)sum;
}

static s64 count_of(const struct sw_stat_layout *layout, const s64 *row)
{
	u64 count = 0;
	u32 i;

	if (layout->count != SW_NO_WORD)
		return READ_ONCE(row[layout->count]);
	for (i = 0; i < layout->nr_buckets; i++)
		count += (u64)READ_ONCE(row[layout->buckets + i]);
	return (s64)count;
}

/* The sum of squared distances of two groups together, from each group's own (Chan et al.). */
static s64 joined_m2(s64 m2_a, s64 mean_a, s64 n_a, s64 m2_b, s64 mean_b, s64 n_b)
{
	s64 distance = mean_b - mean_a;
	s64 weight = sw_divide(n_a * n_b, n_a + n_b);

	return m2_a + m2_b + distance * distance * weight;
}

void sw_stat_merge(const struct sw_stat_layout *layout, u32 offset, const void *shared,
		   struct sw_stat_value *value)
{
	struct sw_stat_value all = { 0 };
	s64 mean = 0, m2 = 0;
	const s64 *row;
	u32 lane;

	for (lane = 0; (row = row_of(lane, offset, shared)); lane++) {
		s64 n = count_of(layout, row);

		if (!n)
			continue;
		if (layout->sum != SW_NO_WORD)
			all.sum += READ_ONCE(row[layout->sum]);
		if (layout->min != SW_NO_WORD && (!all.count || row[layout->min] < all.min))
			all.min = READ_ONCE(row[layout->min]);
		if (layout->max != SW_NO_WORD && (!all.count || row[layout->max] > all.max))
			all.max = READ_ONCE(row[layout->max]);
		if (layout->mean != SW_NO_WORD) {
			s64 lane_mean = READ_ONCE(row[layout->mean]) >> layout->shift;
			s64 lane_m2 = READ_ONCE(row[layout->m2]) >> layout->shift;

			m2 = joined_m2(m2, mean, all.count, lane_m2, lane_mean, n);
			mean = sw_divide(mean * all.count + lane_mean * n, all.count + n);
		}
		all.count += n;
	}
	if (all.count > 1)
		all.variance = sw_divide(m2, all.count - 1);
	*value = all;
}

s64 sw_stat_bucket(const struct sw_stat_layout *layout, u32 offset, const void *shared, s64 index)
{
	const s64 *row;
	u64 sum = 0;
	u32 lane;

	if (index < 0 || index >= layout->nr_buckets)
		return 0;
	for (lane = 0; (row = row_of(lane, offset, shared)); lane++)
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
	*m2 += sw_shift_right(before * (value - *mean), shift);
}
