/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Removes elements that have not changed for long: see struct sw_expire. */
#ifndef STAPWATCH_EXPIRE_H
#define STAPWATCH_EXPIRE_H

/*
 * The elements of a request, from begin to end; `row` has room for a row. Between them, all
 * handlers that ran at the end of begin end; if some have not, `quiet` is false, and nothing
 * is removed from an array without deletion. end returns how many elements were removed.
 */
void sw_expire_begin(const struct sw_expire *r, u64 *row);
u32 sw_expire_end(const struct sw_expire *r, u64 *row, bool quiet);

/*
 * For appending: an element that is about to be removed stays, because its key is hit. With the
 * array's lock held. 1 + its slot, which the caller puts into the index again; 0 if there is none.
 */
u32 sw_expire_revive(const struct sw_array *a, const void *key, u32 hash);

#endif
