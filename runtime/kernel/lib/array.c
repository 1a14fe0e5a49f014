// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slow paths of arrays: inserting, deleting, sorting, and waiting for a lock.
 * array.h draws the table.
 *
 * All functions that change an array run with its lock held, so one writer at a time.
 * Concurrent accesses without the lock:
 *
 * - look-ups on other CPUs, in arrays without deletion. The last store of
 *   sw_array_append() is the release that puts the slot into the index; before that no
 *   look-up can reach the slot, and after it nothing in the slot changes.
 * - readers of the mapping. They look at slots 0 to `used` - 1. `used` grows by a
 *   release after the slot is filled, and the slot's sequence is odd whenever its key
 *   may be torn or its value may be that of an earlier key.
 */
#include "core/runtime.h"

/* About a millisecond: longer than any handler within its limits holds a lock. */
#define ARRAY_LOCK_TURNS 20000

/*
 * Tests the lock with a plain load and only then exchanges, so that waiting CPUs do
 * not take the cache line away from the holder.
 */
bool sw_lock_slow(u32 *lock)
{
	u32 turn, turns = sw_script.lock_turns ? sw_script.lock_turns : ARRAY_LOCK_TURNS;

	for (turn = 0; turn < turns; turn++) {
		sw_relax();
		if (!READ_ONCE(*lock) && !sw_exchange(lock, 1))
			return true;
	}
	return false;
}

static void array_copy_key(void *to, const void *from, u32 size)
{
	const u64 *source = from;
	u64 *target = to;
	u32 i;

	for (i = 0; i < size / 8; i++)
		target[i] = source[i];
}

/* The first free index entry for a hash. There is one: the index is at most half full. */
static u32 array_free_entry(const struct sw_array *a, u32 hash)
{
	u32 i = hash & a->mask;

	while (a->index[i])
		i = (i + 1) & a->mask;
	return i;
}

/*
 * Leaves the slot's sequence odd: readers skip the slot until it is published. It is
 * odd already if the slot was deleted. The barrier keeps the stores to the slot after
 * the store to the sequence. A compiler barrier is enough on processors that make
 * stores visible in the order of the program; an architecture without that order
 * needs smp_wmb().
 */
static void array_fill_slot(const struct sw_array *a, struct sw_slot *slot, const void *key,
			    u32 hash)
{
	if (!(slot->sequence & 1))
		WRITE_ONCE(slot->sequence, slot->sequence + 1);
	barrier();
	slot->hash = hash;
	array_copy_key(SW_KEY(slot), key, a->key_size);
}

void sw_array_publish(const struct sw_array *a, u32 n)
{
	struct sw_slot *slot = sw_array_slot(a, n);

	sw_store_release(&slot->sequence, slot->sequence + 1);
}

u32 sw_array_find_long(const struct sw_array *a, const void *key)
{
	return sw_array_find(a, key);
}

/*
 * The first test needs no lock: an array that is full stays full. Another CPU may have
 * appended the key since the caller's look-up, so it is looked up again under the lock.
 */
u32 sw_array_append(const struct sw_array *a, const void *key, u32 *lock)
{
	u32 n, hash;

	if (READ_ONCE(a->head->used) >= a->capacity)
		return 0;
	if (!sw_lock(lock))
		return 0;
	hash = sw_hash(key, a->key_size);
	n = sw_array_find_hash(a, key, hash);
	if (!n && a->head->used < a->capacity) {
		n = a->head->used + 1;
		array_fill_slot(a, sw_array_slot(a, n), key, hash);
		sw_array_publish(a, n);
		sw_store_release(&a->head->used, n);
		a->head->live = n;
		sw_store_release(&a->index[array_free_entry(a, hash)], n);
	}
	sw_unlock(lock);
	return n;
}

u32 sw_array_insert(const struct sw_array *a, const void *key, bool wraps)
{
	u32 hash = sw_hash(key, a->key_size);
	struct sw_array_head *head = a->head;
	struct sw_slot *slot;
	u32 n;

	if (!head->free && head->used >= a->capacity) {
		if (!wraps)
			return 0;
		sw_array_remove(a, head->first);
	}
	if (head->free) {
		n = head->free;
		slot = sw_array_slot(a, n);
		head->free = slot->next;
	} else {
		n = head->used + 1;
		slot = sw_array_slot(a, n);
	}
	array_fill_slot(a, slot, key, hash);
	if (n > head->used)
		sw_store_release(&head->used, n);
	slot->next = 0;
	slot->prev = head->last;
	if (head->last)
		sw_array_slot(a, head->last)->next = n;
	else
		head->first = n;
	head->last = n;
	head->live++;
	a->index[array_free_entry(a, hash)] = n;
	return n;
}

/*
 * Removes a slot from the index. Closes the gap in its run, so that no tombstones are
 * needed and look-ups do not get slower with deletions. Not for arrays whose look-ups
 * take no lock: an entry that moves would be missed.
 */
static void array_unindex(const struct sw_array *a, u32 n)
{
	u32 gap = sw_array_slot(a, n)->hash & a->mask;
	u32 i;

	while (a->index[gap] != n)
		gap = (gap + 1) & a->mask;
	for (i = (gap + 1) & a->mask; a->index[i]; i = (i + 1) & a->mask) {
		u32 home = sw_array_slot(a, a->index[i])->hash & a->mask;

		/* it may move to the gap, unless its home comes after the gap */
		if (((i - home) & a->mask) >= ((i - gap) & a->mask)) {
			a->index[gap] = a->index[i];
			gap = i;
		}
	}
	a->index[gap] = 0;
}

/* The sequence becomes odd: the element is gone for readers before its slot is reused. */
void sw_array_remove(const struct sw_array *a, u32 n)
{
	struct sw_array_head *head = a->head;
	struct sw_slot *slot = sw_array_slot(a, n);

	array_unindex(a, n);
	if (slot->prev)
		sw_array_slot(a, slot->prev)->next = slot->next;
	else
		head->first = slot->next;
	if (slot->next)
		sw_array_slot(a, slot->next)->prev = slot->prev;
	else
		head->last = slot->prev;
	sw_store_release(&slot->sequence, slot->sequence + 1);
	slot->next = head->free;
	slot->prev = 0;
	head->free = n;
	head->live--;
}

void sw_array_clear(const struct sw_array *a)
{
	while (a->head->first)
		sw_array_remove(a, a->head->first);
}

typedef s32 array_compare_fn(const struct sw_sort_entry *a, const struct sw_sort_entry *b);

static s32 array_by_order(const struct sw_sort_entry *a, const struct sw_sort_entry *b)
{
	return a->order < b->order ? -1 : 1;
}

static s32 array_number_up(const struct sw_sort_entry *a, const struct sw_sort_entry *b)
{
	return a->number != b->number ? (a->number < b->number ? -1 : 1) : array_by_order(a, b);
}

static s32 array_number_down(const struct sw_sort_entry *a, const struct sw_sort_entry *b)
{
	return a->number != b->number ? (a->number > b->number ? -1 : 1) : array_by_order(a, b);
}

static s32 array_text_up(const struct sw_sort_entry *a, const struct sw_sort_entry *b)
{
	s32 d = sw_compare(a->text, b->text);

	return d ? d : array_by_order(a, b);
}

static s32 array_text_down(const struct sw_sort_entry *a, const struct sw_sort_entry *b)
{
	s32 d = sw_compare(b->text, a->text);

	return d ? d : array_by_order(a, b);
}

static __always_inline void array_sift(struct sw_sort_entry *e, u32 root, u32 n,
				       array_compare_fn *compare)
{
	struct sw_sort_entry moved = e[root];
	u32 child;

	while ((child = 2 * root + 1) < n) {
		if (child + 1 < n && compare(&e[child], &e[child + 1]) < 0)
			child++;
		if (compare(&moved, &e[child]) >= 0)
			break;
		e[root] = e[child];
		root = child;
	}
	e[root] = moved;
}

/*
 * Heap sort: in place, no recursion, and no worst case that a handler's time limit would
 * have to allow for.
 */
static __always_inline void array_heap_sort(struct sw_sort_entry *e, u32 n,
					    array_compare_fn *compare)
{
	u32 i;

	for (i = n / 2; i-- > 0;)
		array_sift(e, i, n, compare);
	for (i = n; i-- > 1;) {
		struct sw_sort_entry last = e[i];

		e[i] = e[0];
		e[0] = last;
		array_sift(e, 0, i, compare);
	}
}

void sw_sort_numbers(struct sw_sort_entry *e, u32 n, bool descending)
{
	if (descending)
		array_heap_sort(e, n, array_number_down);
	else
		array_heap_sort(e, n, array_number_up);
}

void sw_sort_strings(struct sw_sort_entry *e, u32 n, bool descending)
{
	if (descending)
		array_heap_sort(e, n, array_text_down);
	else
		array_heap_sort(e, n, array_text_up);
}
