// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts as doubles, for readers that send them on: in Python a conversion takes 20 times as long. */
#include "core/runtime.h"
#include "lib/doubles.h"
#include "lib/float64_parts.h"

u64 sw_double(u64 number)
{
	u32 zeros;

	if (!number)
		return 0;
	zeros = (u32)__builtin_clzll(number);
	return float64_round(false, 63 - (s32)zeros, number << zeros);
}

void sw_doubles_make(struct sw_doubles *request, u64 *rows, u32 nr_rows)
{
	u32 begin = request->begin, end = request->end, count = request->count, i;
	u64 *counts = rows + request->first;

	for (; nr_rows; nr_rows--, counts += request->row_words) {
		u64 sum = 0;

		for (i = 0; i < count; i++) {
			if (!counts[i])
				continue;
			sum += counts[i];
			counts[i] = sw_double(counts[i]);
			if (i < begin)
				begin = i;
			if (i >= end)
				end = i + 1;
		}
		counts[count] = sw_double(sum);
	}
	request->begin = begin;
	request->end = end;
}
