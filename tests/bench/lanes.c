// SPDX-License-Identifier: GPL-2.0-or-later
/* Adds up lanes as a module does, in memory that a benchmark has laid out. */
#include "core/runtime.h"
#include "lib/doubles.h"

void **sw_lane_areas;
u32 sw_nr_lanes;
const struct sw_script sw_script; /* lanes begin at the start of their blocks */

#define PIECE 512

__attribute__((visibility("default"))) void add_lanes(void **lanes, u32 nr_lanes, u64 *sums,
						      u64 offset, u64 count)
{
	u64 piece[PIECE], done;

	sw_lane_areas = lanes;
	sw_nr_lanes = nr_lanes;
	for (done = 0; done < count; done += PIECE) {
		u64 n = count - done < PIECE ? count - done : PIECE;

		sw_lanes_add(piece, (u32)(offset + 8 * done), (u32)n);
		__builtin_memcpy(sums + done, piece, 8 * n); /* to the reader's buffer */
	}
}

__attribute__((visibility("default"))) void add_rows(void **lanes, u32 nr_lanes, u64 *sums,
						     struct sw_doubles *request)
{
	u64 words = (u64)request->rows * request->row_words;

	add_lanes(lanes, nr_lanes, sums, request->offset, words);
	request->begin = request->count;
	request->end = 0;
	sw_doubles_make(request, sums, request->rows);
}
