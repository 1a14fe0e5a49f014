// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Removes elements that their metric's ttl has ended: SW_IOC_EXPIRE.
 *
 * An array with deletion has a lock that all its handlers take, so an element is removed as a
 * handler removes it. In an array without deletion, handlers find slots without a lock and then
 * add to their lane's row. There an element goes in three steps:
 *
 *   1. It leaves the index, and waits in expire_waiting: no more handlers find it.
 *   2. Those that have found it end.
 *   3. If its row is still what the reader saw, its slot is emptied and is free. If not, it
 *      returns to the index.
 *
 * A handler that hits its key meanwhile does not find it, is about to append it, and looks it
 * up here: the element returns to the index at once, and keeps its slot and its row. So a key
 * never has two slots, and nothing that is added is lost.
 *
 * One request at a time: the caller sees to it. The array's lock protects the rest. It is
 * held with interrupts off, so that no handler on this CPU waits for it in vain.
 */
#include "core/runtime.h"
#include "lib/array_index.h"
#include "lib/expire.h"
#include "lib/table.h"

struct expire_queue {
	const struct sw_array_head *head; /* of the array whose elements wait */
	u32 slots[SW_EXPIRE_MOST];	  /* 1 + slot; 0: it does not wait any more */
	u32 count;
};

static struct expire_queue expire_waiting;

static const u64 *expire_element(const struct sw_expire *r, u32 i)
{
	return r->data + (u64)i * (1 + r->table.row_size / sizeof(u64));
}

/* 1 + the slot of an element; 0 if there is none, or another one by now. */
static u32 expire_slot(const struct sw_expire *r, const struct sw_array *a, u32 i)
{
	u64 first = *expire_element(r, i);
	u32 n = (u32)first, sequence = first >> 32;

	if (!n || n > READ_ONCE(a->head->used) || sequence & 1)
		return 0;
	return READ_ONCE(sw_array_slot(a, n)->sequence) == sequence ? n : 0;
}

/* Whether a row is as the reader saw it. */
static bool expire_is_unchanged(const struct sw_expire *r, u32 i, u32 n, u64 *row)
{
	const struct sw_table *t = &r->table;
	u32 words = t->row_size / sizeof(u64), w;
	const u64 *seen = expire_element(r, i) + 1;

	if (t->shared)
		__builtin_memcpy(row, sw_table_row(t, sw_shared, n), t->row_size);
	else
		sw_lanes_add(row, t->rows + (n - 1) * t->row_size, words);
	for (w = 0; w < words; w++)
		if (row[w] != seen[w])
			return false;
	return true;
}

static bool expire_lock(const struct sw_table *t, unsigned long *flags)
{
	sw_irqs_off(*flags);
	if (sw_lock(sw_table_lock(t), 1))
		return true;
	sw_irqs_on(*flags);
	return false;
}

/* Handlers hold the lock for a moment only, so it comes. */
static void expire_lock_surely(const struct sw_table *t, unsigned long *flags)
{
	while (!expire_lock(t, flags))
		sw_relax();
}

static void expire_unlock(const struct sw_table *t, unsigned long flags)
{
	sw_unlock(sw_table_lock(t));
	sw_irqs_on(flags);
}

/* The position of a slot that waits; SW_EXPIRE_MOST if it does not. With the lock held. */
static u32 expire_position(u32 n)
{
	u32 i;

	for (i = 0; i < expire_waiting.count; i++)
		if (expire_waiting.slots[i] == n)
			return i;
	return SW_EXPIRE_MOST;
}

u32 sw_expire_revive(const struct sw_array *a, const void *key, u32 hash)
{
	u32 i, n;

	if (likely(READ_ONCE(expire_waiting.head) != a->head))
		return 0;
	for (i = 0; i < expire_waiting.count; i++) {
		struct sw_slot *slot;

		n = expire_waiting.slots[i];
		if (!n)
			continue;
		slot = sw_array_slot(a, n);
		if (slot->hash == hash && sw_same_key(SW_KEY(slot), key, a->key_size)) {
			expire_waiting.slots[i] = 0;
			return n;
		}
	}
	return 0;
}

static void expire_add_changes(const struct sw_array *a, u32 count)
{
	sw_store_release(&a->head->changes, a->head->changes + count);
}

void sw_expire_begin(const struct sw_expire *r, u64 *row)
{
	const struct sw_array a = sw_table_array(&r->table);
	unsigned long flags;
	u32 i, n;

	expire_waiting.count = 0;
	if (r->table.shared || !expire_lock(&r->table, &flags))
		return;
	/* odd: from now on, a key that is not found is looked up under the lock */
	expire_add_changes(&a, 1);
	WRITE_ONCE(expire_waiting.head, a.head);
	expire_unlock(&r->table, flags);
	for (i = 0; i < r->count; i++) {
		n = expire_slot(r, &a, i);
		if (!n || !expire_is_unchanged(r, i, n, row) || !expire_lock(&r->table, &flags))
			continue;
		if (expire_position(n) == SW_EXPIRE_MOST && sw_array_unindex(&a, n))
			expire_waiting.slots[expire_waiting.count++] = n;
		expire_unlock(&r->table, flags);
	}
}

/* No handler uses the slot: it is neither in the index nor waiting. */
static void expire_empty(const struct sw_table *t, u32 n)
{
	u32 lane;

	sw_for_each_lane(lane) {
		char *region = (char *)sw_lane_areas[lane] + sw_script.lane_offset;

		__builtin_memset(sw_table_row(t, region, n), 0, t->row_size);
	}
}

/* An element that waits is removed, or returns to the index. */
static bool expire_finish(const struct sw_expire *r, const struct sw_array *a, u32 n, bool removed)
{
	struct sw_slot *slot = sw_array_slot(a, n);
	unsigned long flags;
	u32 at, *entry;

	expire_lock_surely(&r->table, &flags);
	at = expire_position(n);
	if (at == SW_EXPIRE_MOST) {
		expire_unlock(&r->table, flags);
		return false; /* it was hit */
	}
	expire_waiting.slots[at] = 0;
	if (removed) {
		sw_store_release(&slot->sequence, slot->sequence + 1);
	} else {
		entry = sw_array_free_entry(a, slot->hash);
		if (entry)
			sw_store_release(entry, n);
	}
	expire_unlock(&r->table, flags);
	if (!removed)
		return false;
	expire_empty(&r->table, n);
	expire_lock_surely(&r->table, &flags);
	slot->next = a->head->free;
	a->head->free = n;
	a->head->live--;
	expire_unlock(&r->table, flags);
	return true;
}

/* Of an array with deletion. */
static bool expire_remove(const struct sw_expire *r, const struct sw_array *a, u32 i, u64 *row)
{
	unsigned long flags;
	bool removed;
	u32 n;

	if (!expire_lock(&r->table, &flags))
		return false;
	n = expire_slot(r, a, i);
	removed = n && expire_is_unchanged(r, i, n, row);
	if (removed)
		sw_array_remove(a, n);
	expire_unlock(&r->table, flags);
	return removed;
}

u32 sw_expire_end(const struct sw_expire *r, u64 *row, bool quiet)
{
	const struct sw_array a = sw_table_array(&r->table);
	u32 i, n, removed = 0;
	unsigned long flags;

	for (i = 0; i < r->count; i++) {
		if (r->table.shared) {
			removed += expire_remove(r, &a, i, row);
			continue;
		}
		n = (u32)*expire_element(r, i);
		if (expire_position(n) != SW_EXPIRE_MOST)
			removed +=
				expire_finish(r, &a, n, quiet && expire_is_unchanged(r, i, n, row));
	}
	if (r->table.shared || READ_ONCE(expire_waiting.head) != a.head)
		return removed;
	expire_lock_surely(&r->table, &flags);
	WRITE_ONCE(expire_waiting.head, NULL);
	expire_add_changes(&a, 1);
	expire_unlock(&r->table, flags);
	return removed;
}
