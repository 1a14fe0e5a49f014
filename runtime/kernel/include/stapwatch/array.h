/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * array.h - associative arrays: a table of keys that all CPUs share.
 *
 *	head | index: u32[power of two] | slots: { sw_slot | key }[capacity]
 *
 * Slots are given out in order; the index (open addressing, linear probing, at most half full)
 *leads from a key's hash to 1 + its slot.  Values are not here: slot n's value is row n, in each
 *CPU's lane or in the shared region.  Keys are whole words, strings in them padded with NULs.
 *
 * Without deletion, look-ups take no lock: a slot is written, then published in the index.  Arrays
 *with deletion are only touched under their global's lock.
 */
#ifndef STAPWATCH_ARRAY_H
#define STAPWATCH_ARRAY_H

struct sw_array {
	struct sw_array_head *head;
	u32 *index;
	void *slots;
	u32 mask; /* index size - 1 */
	u32 capacity;
	u32 stride; /* of a slot */
	u32 key_size;
};

/* Constant but for the addresses, so look-ups unroll. `m` is a struct { head, index[], slots[] }.
 */
#define SW_ARRAY(m)                                                                                \
	(struct sw_array)                                                                          \
	{                                                                                          \
		.head = &(m).head, .index = (m).index, .slots = (m).slots,                         \
		.mask = sizeof((m).index) / sizeof((m).index[0]) - 1,                              \
		.capacity = sizeof((m).slots) / sizeof((m).slots[0]),                              \
		.stride = sizeof((m).slots[0]), .key_size = sizeof((m).slots[0].key),              \
	}

#define SW_KEY(slot) ((void *)((struct sw_slot *)(slot) + 1))

static __always_inline struct sw_slot *sw_array_slot(const struct sw_array *a, u32 n)
{
	return (struct sw_slot *)((u8 *)a->slots + (size_t)(n - 1) * a->stride);
}

static __always_inline u32 sw_hash(const void *key, u32 size)
{
	const u64 *word = key;
	u64 h = 0;
	u32 i;

	for (i = 0; i < size / 8; i++) {
		h = (h ^ word[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	return (u32)h;
}

static __always_inline bool sw_same_key(const void *a, const void *b, u32 size)
{
	const u64 *x = a, *y = b;
	u32 i;

	for (i = 0; i < size / 8; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

/* 1 + the slot of a key with this hash; 0: there is none. */
static __always_inline u32 sw_array_find_hash(const struct sw_array *a, const void *key, u32 hash)
{
	u32 i, n;

	for (i = hash & a->mask; (n = sw_load_acquire(&a->index[i])); i = (i + 1) & a->mask) {
		struct sw_slot *slot = sw_array_slot(a, n);

		if (slot->hash == hash && sw_same_key(SW_KEY(slot), key, a->key_size))
			return n;
	}
	return 0;
}

/* 1 + the slot of a key; 0: there is none. */
static __always_inline u32 sw_array_find(const struct sw_array *a, const void *key)
{
	return sw_array_find_hash(a, key, sw_hash(key, a->key_size));
}

/*
 * In the runtime object. The first is for long keys: its loops take hundreds of instructions, so a
 * call to them is nothing, and the compiler need not see them for each array. Append looks again
 * first, for arrays without deletion; insert is for arrays under their global's lock: the caller
 * resets the value and then publishes the slot, so that no reader sees the new key with an old
 * value. A full array that `wraps` forgets its oldest element. 0: the array is full (or, shared by
 * all, stayed locked).
 */
u32 sw_array_find_long(const struct sw_array *a, const void *key);
u32 sw_array_append(const struct sw_array *a, const void *key, u32 *lock);
u32 sw_array_insert(const struct sw_array *a, const void *key, bool wraps);
void sw_array_publish(const struct sw_array *a, u32 n);
void sw_array_remove(const struct sw_array *a, u32 n);
void sw_array_clear(const struct sw_array *a);

/* One element to visit: sorted by `number` or `text`, elements that compare equal stay in order of
 * insertion. */
struct sw_sort_entry {
	union {
		s64 number;
		const char *text;
	};
	u32 slot; /* 1 + slot */
	u32 order;
};

void sw_sort_numbers(struct sw_sort_entry *entry, u32 n, bool descending);
void sw_sort_strings(struct sw_sort_entry *entry, u32 n, bool descending);

/*
 * Locks of shared globals, taken in one order at the start of a handler. Bounded: false after a
 * while, and the handler is skipped and counted.
 */
bool sw_lock_slow(u32 *lock);

static __always_inline bool sw_lock(u32 *lock)
{
	return likely(!sw_exchange(lock, 1)) || sw_lock_slow(lock);
}

static __always_inline void sw_unlock(u32 *lock)
{
	sw_store_release(lock, 0);
}

/*
 * Around all writes to a global's shared rows of more than one word, with its lock held: the
 * sequence is odd meanwhile, so a reader can tell that what it copied is whole.
 */
static __always_inline void sw_write_begin(u32 *sequence)
{
	sw_store_release(sequence, *sequence + 1);
	__atomic_thread_fence(
		__ATOMIC_RELEASE); /* no row is written before; free if stores stay ordered */
}

static __always_inline void sw_write_end(u32 *sequence)
{
	sw_store_release(sequence, *sequence + 1);
}

#endif
