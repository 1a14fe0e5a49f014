/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The index of arrays, for those that take elements out of it. With the array's lock held. */
#ifndef STAPWATCH_ARRAY_INDEX_H
#define STAPWATCH_ARRAY_INDEX_H

/* The first free index entry for a hash; NULL if it is too far away. */
u32 *sw_array_free_entry(const struct sw_array *a, u32 hash);

/*
 * Removes a slot from the index; false if it is not there. Closes the gap in its run, so that no
 * tombstones are needed and look-ups do not get slower with deletions. A look-up without the
 * lock may miss a key whose entry moves.
 */
bool sw_array_unindex(const struct sw_array *a, u32 n);

#endif
