// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts as doubles, for readers that send them on: in Python a conversion takes 20 times as long. */
#include "core/runtime.h"
#include "lib/doubles.h"

#define DOUBLES_FRACTION 52
#define DOUBLES_BIAS	 1023

u64 sw_double(u64 number)
{
	u32 top, spare;
	u64 fraction;

	if (!number)
		return 0;
	top = 63 - (u32)__builtin_clzll(number);
	if (top <= DOUBLES_FRACTION) {
		fraction = number << (DOUBLES_FRACTION - top);
	} else {
		u64 rest, half;

		spare = top - DOUBLES_FRACTION;
		half = 1ULL << (spare - 1);
		rest = number & ((1ULL << spare) - 1);
		fraction = number >> spare;
		fraction += rest > half || (rest == half && (fraction & 1));
	}
	/* the fraction's highest bit is 1, and adds 1 to the exponent; a carry of rounding another 1 */
	return ((u64)(DOUBLES_BIAS - 1 + top) << DOUBLES_FRACTION) + fraction;
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
