// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Carries values over that another module has counted: SW_IOC_CARRY.
 *
 * Rows in lanes are only added to, by handlers as well as here. So they can be carried over
 * while the module runs: with the CPU's context taken, no handler is in the middle of an
 * addition on this CPU, and none begins. A key is appended as a handler appends it. Rows in
 * the shared region are written, which is only safe before the first handler runs.
 */
#include "core/runtime.h"
#include "lib/carry.h"
#include "lib/table.h"

/* 1 + the slot of the key, which is added if it is not there; 0 if the array is full. */
static u32 carry_slot(const struct sw_table *t, const void *key)
{
	const struct sw_array a = sw_table_array(t);
	u32 n = sw_array_find_long(&a, key);

	if (n)
		return n;
	if (!t->shared)
		return sw_array_append(&a, key, sw_table_lock(t));
	n = sw_array_insert(&a, key, NULL);
	if (n)
		sw_array_publish(&a, n);
	return n;
}

bool sw_carry_element(struct sw_context *c, const struct sw_table *t, const u64 *data)
{
	char *region = t->shared ? sw_shared : (char *)c + sw_script.lane_offset;
	const u64 *row = data + t->key_size / sizeof(u64);
	u32 n = t->capacity ? carry_slot(t, data) : 1, i;
	u64 *to;

	if (!n)
		return false;
	to = sw_table_row(t, region, n);
	for (i = 0; i < t->row_size / sizeof(u64); i++)
		WRITE_ONCE(to[i], t->shared ? row[i] : to[i] + row[i]);
	return true;
}
