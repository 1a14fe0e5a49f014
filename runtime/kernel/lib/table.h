/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table that a request names: struct sw_table. */
#ifndef STAPWATCH_TABLE_H
#define STAPWATCH_TABLE_H

#define SW_TABLE_MOST 65536 /* bytes of a key, and of a row */

/* Whether everything that it names is inside of its region. */
bool sw_table_is_valid(const struct sw_table *t);

/* The array of a valid table that has keys. */
struct sw_array sw_table_array(const struct sw_table *t);

/* The lock of the same. */
u32 *sw_table_lock(const struct sw_table *t);

/* The row of a slot, 1 + its number, in a region: a lane, or the shared one. */
static inline u64 *sw_table_row(const struct sw_table *t, char *region, u32 n)
{
	return (u64 *)(region + t->rows + (u64)(n - 1) * t->row_size);
}

#endif
