// SPDX-License-Identifier: GPL-2.0-or-later
/* A table that a request names. Whoever sends requests is root, and may be wrong. */
#include "core/runtime.h"
#include "lib/table.h"

/* `size` bytes of the shared region begin at `offset`. */
static bool table_fits(u64 offset, u64 size, u32 alignment)
{
	return offset % alignment == 0 && offset <= sw_script.shared_size &&
	       size <= sw_script.shared_size - offset;
}

/* The offset of the slots from the array's head. */
static u64 table_slots(const struct sw_table *t)
{
	return sizeof(struct sw_array_head) + (u64)t->entries * sizeof(u32);
}

static bool table_array_fits(const struct sw_table *t)
{
	return table_fits(t->head, table_slots(t) + (u64)t->capacity * t->stride, 8) &&
	       table_fits(t->lock, sizeof(u32), 4) && !(t->entries & (t->entries - 1)) &&
	       t->entries / 2 >= t->capacity && t->key_size % 8 == 0 && t->stride % 8 == 0 &&
	       t->stride >= sizeof(struct sw_slot) + t->key_size;
}

bool sw_table_is_valid(const struct sw_table *t)
{
	u64 size = (u64)(t->capacity ? t->capacity : 1) * t->row_size;

	if (t->key_size > SW_TABLE_MOST || t->row_size > SW_TABLE_MOST || t->row_size % 8 ||
	    t->rows % 8)
		return false;
	if (t->capacity ? !table_array_fits(t) : t->key_size)
		return false;
	if (t->shared)
		return table_fits(t->rows, size, 8);
	return t->rows <= sw_script.lane_size && size <= sw_script.lane_size - t->rows;
}

struct sw_array sw_table_array(const struct sw_table *t)
{
	char *head = (char *)sw_shared + t->head;

	return (struct sw_array){
		.head = (void *)head,
		.index = (u32 *)(head + sizeof(struct sw_array_head)),
		.slots = head + table_slots(t),
		.mask = t->entries - 1,
		.capacity = t->capacity,
		.stride = t->stride,
		.key_size = t->key_size,
	};
}

u32 *sw_table_lock(const struct sw_table *t)
{
	return (u32 *)((char *)sw_shared + t->lock);
}
