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
 *   look-up can reach the slot, and after it nothing in the slot changes until it has left
 *   the index again and the look-ups of that time have ended: expire.c.
 * - readers of the mapping. They look at slots 0 to `used` - 1. `used` grows by a
 *   release after the slot is filled, and the slot's sequence is odd whenever its key
 *   may be torn or its value may be that of an earlier key.
 */
#include "core/runtime.h"
#include "lib/array_index.h"
#include "lib/expire.h"

/* About a millisecond: longer than any handler within its limits holds a lock. */
#define ARRAY_LOCK_TURNS 20000

/* Turns of waiting for a lock that an action pays for. */
#define ARRAY_TURNS 16
/* Entries of the index that an action pays for, where many are looked at, and bytes of keys. */
#define ARRAY_STEPS    5
#define ARRAY_COMPARED 128
/* Instructions for an element that is removed alone, and with all others; for a word of the index. */
#define ARRAY_REMOVE 100
#define ARRAY_DROP   16
#define ARRAY_WORD   4

/*
 * Tests the lock with a plain load and only then exchanges, so that waiting CPUs do
 * not take the cache line away from the holder.
 */
bool sw_lock_slow(u32 *lock, u32 locks)
{
	u32 turn, turns = sw_script.lock_turns ? sw_script.lock_turns : ARRAY_LOCK_TURNS;
	bool taken = false;

	if (locks)
		turns /= locks;
	for (turn = 0; turn < turns && !taken; turn++) {
		sw_relax();
		taken = !READ_ONCE(*lock) && !sw_exchange(lock, 1);
	}
	if (!locks)
		sw_charge_late(sw_this_cpu_area(), turn / ARRAY_TURNS);
	return taken;
}

static void array_copy_key(void *to, const void *from, u32 size)
{
	const u64 *source = from;
	u64 *target = to;
	u32 i;

	for (i = 0; i < size / 8; i++)
		target[i] = source[i];
}

/* There is one, since the index is at most half full. */
u32 *sw_array_free_entry(const struct sw_array *a, u32 hash)
{
	u32 i, *entry = NULL;

	for (i = 0; i <= SW_FARTHEST && !entry; i++)
		if (!a->index[(hash + i) & a->mask])
			entry = &a->index[(hash + i) & a->mask];
	sw_charge_late(sw_this_cpu_area(), i / ARRAY_STEPS);
	return entry;
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

u32 sw_array_find_far(const u32 *index, void *slots, u32 mask, u32 stride, u32 key_size,
		      const void *key, u32 hash, u32 i)
{
	const struct sw_array a = { .slots = slots, .stride = stride };
	u32 end = i + SW_FARTHEST - SW_NEAR, start = i, compared = 0, n;

	for (; i != end && (n = sw_load_acquire(&index[i & mask])); i++) {
		struct sw_slot *slot = sw_array_slot(&a, n);

		if (slot->hash != hash)
			continue;
		compared += key_size;
		if (sw_same_key(SW_KEY(slot), key, key_size))
			break;
	}
	sw_charge_late(sw_this_cpu_area(), (i - start) / ARRAY_STEPS + compared / ARRAY_COMPARED);
	return i == end ? 0 : n;
}

/*
 * Whether an array without deletion has no slot for a key. Without a lock: it stays full unless
 * elements expire. While they do, entries of the index move, and the caller's look-up may have
 * missed the key, so it is repeated, under the lock if that happens now.
 */
static bool array_is_full(const struct sw_array *a, const void *key, u32 *found)
{
	u32 changes;

	if (READ_ONCE(a->head->used) < a->capacity || READ_ONCE(a->head->free))
		return false;
	changes = sw_load_acquire(&a->head->changes);
	if (!changes)
		return true;
	*found = sw_array_find(a, key);
	barrier();
	return *found || (!(changes & 1) && READ_ONCE(a->head->changes) == changes);
}

/* A slot for a key, in an array without deletion; 0 if there is none. With the lock held. */
static u32 array_take_slot(const struct sw_array *a, const void *key, u32 hash)
{
	struct sw_array_head *head = a->head;
	u32 n = head->free;

	if (n) {
		head->free = sw_array_slot(a, n)->next;
		sw_store_release(&head->changes, head->changes + 2);
	} else if (head->used < a->capacity) {
		n = head->used + 1;
	} else {
		return 0;
	}
	array_fill_slot(a, sw_array_slot(a, n), key, hash);
	sw_array_publish(a, n);
	if (n > head->used)
		sw_store_release(&head->used, n);
	head->live++;
	return n;
}

/*
 * Another CPU may have appended the key since the caller's look-up, so it is looked up again
 * under the lock.
 */
u32 sw_array_append(const struct sw_array *a, const void *key, u32 *lock)
{
	u32 n = 0, hash, *entry;

	if (array_is_full(a, key, &n))
		return n;
	if (!sw_lock(lock, 0))
		return 0;
	hash = sw_hash(key, a->key_size);
	entry = sw_array_free_entry(a, hash);
	n = sw_array_find_hash(a, key, hash, true);
	if (!n && entry) {
		n = sw_expire_revive(a, key, hash);
		if (!n)
			n = array_take_slot(a, key, hash);
		if (n)
			sw_store_release(entry, n);
	}
	sw_unlock(lock);
	return n;
}

static void array_link_last(const struct sw_array *a, struct sw_slot *slot, u32 n)
{
	struct sw_array_head *head = a->head;

	slot->next = 0;
	slot->prev = head->last;
	if (head->last)
		sw_array_slot(a, head->last)->next = n;
	else
		head->first = n;
	head->last = n;
}

static void array_unlink(const struct sw_array *a, const struct sw_slot *slot)
{
	struct sw_array_head *head = a->head;

	if (slot->prev)
		sw_array_slot(a, slot->prev)->next = slot->next;
	else
		head->first = slot->next;
	if (slot->next)
		sw_array_slot(a, slot->next)->prev = slot->prev;
	else
		head->last = slot->prev;
}

/* Readers look at neither list, so the slot's sequence stays as it is. */
void sw_array_move_last(const struct sw_array *a, u32 n)
{
	struct sw_slot *slot = sw_array_slot(a, n);

	array_unlink(a, slot);
	array_link_last(a, slot, n);
}

u32 sw_array_insert(const struct sw_array *a, const void *key, u64 *replaced)
{
	u32 hash = sw_hash(key, a->key_size);
	struct sw_array_head *head = a->head;
	struct sw_slot *slot;
	u32 n, *entry;

	if (!head->free && head->used >= a->capacity) {
		if (!replaced)
			return 0;
		sw_array_remove(a, head->first);
		++*replaced;
	}
	entry = sw_array_free_entry(a, hash);
	if (!entry)
		return 0;
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
	array_link_last(a, slot, n);
	head->live++;
	*entry = n;
	return n;
}

/* The stores are releases for look-ups without the lock, which may read a slot through them. */
bool sw_array_unindex(const struct sw_array *a, u32 n)
{
	u32 home = sw_array_slot(a, n)->hash, gap = home & a->mask;
	u32 i, steps = 0;

	while (a->index[gap] != n) {
		if (((gap - home) & a->mask) >= SW_FARTHEST)
			return false;
		gap = (gap + 1) & a->mask;
	}
	for (i = (gap + 1) & a->mask; a->index[i]; i = (i + 1) & a->mask) {
		home = sw_array_slot(a, a->index[i])->hash & a->mask;
		steps++;
		if (((i - gap) & a->mask) > SW_FARTHEST)
			break; /* whatever is farther on would be too far from its home */
		/* it may move to the gap, unless its home comes after the gap */
		if (((i - home) & a->mask) >= ((i - gap) & a->mask)) {
			sw_store_release(&a->index[gap], a->index[i]);
			gap = i;
		}
	}
	sw_store_release(&a->index[gap], 0);
	sw_charge_late(sw_this_cpu_area(), steps / ARRAY_STEPS);
	return true;
}

/* The sequence becomes odd: the element is gone for readers before its slot is reused. */
void sw_array_remove(const struct sw_array *a, u32 n)
{
	struct sw_array_head *head = a->head;
	struct sw_slot *slot = sw_array_slot(a, n);

	sw_array_unindex(a, n);
	array_unlink(a, slot);
	sw_store_release(&slot->sequence, slot->sequence + 1);
	slot->next = head->free;
	slot->prev = 0;
	head->free = n;
	head->live--;
}

/* Empties the index, and takes the slots as remove() does, first ones first. */
static void array_drop_all(const struct sw_array *a)
{
	struct sw_array_head *head = a->head;
	u64 *words = (u64 *)a->index;
	u32 n, next, i;

	for (i = 0; i < (a->mask + 1) / 2; i++)
		words[i] = 0;
	for (n = head->first; n; n = next) {
		struct sw_slot *slot = sw_array_slot(a, n);

		next = slot->next;
		sw_store_release(&slot->sequence, slot->sequence + 1);
		slot->next = head->free;
		slot->prev = 0;
		head->free = n;
	}
	head->first = 0;
	head->last = 0;
	head->live = 0;
}

bool sw_array_clear(struct sw_context *c, const struct sw_array *a)
{
	u64 live = a->head->live, whole = live * ARRAY_DROP + (a->mask + 1) / 2 * ARRAY_WORD;
	bool alone = live * ARRAY_REMOVE < whole;

	if (!live)
		return true;
	if (!sw_charge_all(c, live, alone ? ARRAY_REMOVE : whole / live + 1, "deleting",
			   "elements"))
		return false;
	if (!alone)
		array_drop_all(a);
	while (a->head->first)
		sw_array_remove(a, a->head->first);
	return true;
}

/*
 * Elements in an order: a heap whose first element is the one to be visited next. Sorting in
 * place as far as a loop gets, without recursion, and with no worst case that a handler's
 * limit would have to allow for. Equal elements are visited in the order of insertion.
 */
typedef bool array_before_fn(struct sw_context *c, const struct sw_sort_entry *a,
			     const struct sw_sort_entry *b);

static __always_inline bool array_number_up(struct sw_context *c, const struct sw_sort_entry *a,
					    const struct sw_sort_entry *b)
{
	return a->number != b->number ? a->number < b->number : a->order < b->order;
}

static __always_inline bool array_number_down(struct sw_context *c, const struct sw_sort_entry *a,
					      const struct sw_sort_entry *b)
{
	return a->number != b->number ? a->number > b->number : a->order < b->order;
}

static __always_inline bool array_text_up(struct sw_context *c, const struct sw_sort_entry *a,
					  const struct sw_sort_entry *b)
{
	s32 d = sw_compare(c, a->text, b->text);

	return d ? d < 0 : a->order < b->order;
}

static __always_inline bool array_text_down(struct sw_context *c, const struct sw_sort_entry *a,
					    const struct sw_sort_entry *b)
{
	s32 d = sw_compare(c, a->text, b->text);

	return d ? d > 0 : a->order < b->order;
}

static __always_inline void array_sift(struct sw_context *c, struct sw_sort_entry *e, u32 root,
				       u32 n, array_before_fn *before)
{
	struct sw_sort_entry moved = e[root];
	u32 child;

	while ((child = 2 * root + 1) < n) {
		if (child + 1 < n && before(c, &e[child + 1], &e[child]))
			child++;
		if (before(c, &moved, &e[child]))
			break;
		e[root] = e[child];
		root = child;
	}
	e[root] = moved;
}

static __always_inline bool array_order(struct sw_context *c, struct sw_sort_entry *e, u32 n,
					array_before_fn *before)
{
	u32 i;

	for (i = n / 2; i-- > 0;) {
		if (c && !sw_charge(c, 0))
			return false;
		array_sift(c, e, i, n, before);
	}
	return true;
}

/* Takes the first element; the last one goes to its place, and from there to its own. */
static __always_inline u32 array_next(struct sw_context *c, struct sw_sort_entry *e, u32 n,
				      array_before_fn *before)
{
	u32 slot = e[0].slot;

	e[0] = e[n - 1];
	array_sift(c, e, 0, n - 1, before);
	return slot;
}

/* Levels of a heap of n elements. */
static u32 array_levels(u32 n)
{
	return 32 - __builtin_clz(n | 1);
}

void sw_order_numbers(struct sw_sort_entry *e, u32 n, bool descending)
{
	if (descending)
		array_order(NULL, e, n, array_number_down);
	else
		array_order(NULL, e, n, array_number_up);
}

bool sw_order_strings(struct sw_context *c, struct sw_sort_entry *e, u32 n, bool descending)
{
	if (descending)
		return array_order(c, e, n, array_text_down);
	return array_order(c, e, n, array_text_up);
}

u32 sw_order_next_number(struct sw_context *c, struct sw_sort_entry *e, u32 n, bool descending)
{
	sw_charge_late(c, (array_levels(n) + 3) / 4); /* 25 instructions each */
	if (descending)
		return array_next(c, e, n, array_number_down);
	return array_next(c, e, n, array_number_up);
}

u32 sw_order_next_string(struct sw_context *c, struct sw_sort_entry *e, u32 n, bool descending)
{
	sw_charge_late(c, array_levels(n) * 2); /* two comparisons each, of short texts */
	if (descending)
		return array_next(c, e, n, array_text_down);
	return array_next(c, e, n, array_text_up);
}
