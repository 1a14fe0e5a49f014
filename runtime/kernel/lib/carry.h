/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values that another module has counted go into this one's tables: see struct sw_carry. */
#ifndef STAPWATCH_CARRY_H
#define STAPWATCH_CARRY_H

/*
 * Carries one element of a valid table over; `data` is its key and its row, `c` the context of
 * this CPU, which is taken. False if the array is full.
 */
bool sw_carry_element(struct sw_context *c, const struct sw_table *t, const u64 *data);

#endif
