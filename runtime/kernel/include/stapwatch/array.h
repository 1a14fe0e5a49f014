/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Associative arrays: a table of keys that all CPUs share.
 *
 *   head | index: u32[power of two] | slots: { sw_slot | key }[capacity]
 *
 * Slots are given out in order. The index (open addressing, linear probing, at
 * most half full) leads from a key's hash to 1 + its slot. Values are not here:
 * the value of slot n is row n, in each CPU's lane or in the shared region. Keys
 * are whole words; strings in them are padded with NULs.
 *
 * Two classes of arrays:
 *
 * - Without deletion (per-CPU values). Look-ups take no lock. A slot is written
 *   and then published in the index by a store-release, which pairs with the
 *   load-acquire in sw_array_find_hash(): a CPU that sees the slot's number sees
 *   its hash and key. Neither changes as long as a handler may see it, so no key
 *   is read torn. Only appending takes the array's lock. Readers may remove
 *   elements that have not changed for long: lib/expire.c.
 * - With deletion (shared values). Handlers touch such an array only under its
 *   global's lock. Readers of the mapping take no lock: sw_slot.sequence is odd
 *   while a slot is changed, so that they can tell a whole key from a torn one.
 */
#ifndef STAPWATCH_ARRAY_H
#define STAPWATCH_ARRAY_H

/**
 * struct sw_array - where the parts of an array are, and their sizes
 * @head: counts and lists, in the shared region
 * @index: 1 + slot, by hash; 0 is an empty entry
 * @slots: the slots
 * @mask: number of index entries - 1
 * @capacity: number of slots
 * @stride: bytes of a slot, its key included
 * @key_size: bytes of a key, a multiple of 8
 */
struct sw_array {
	struct sw_array_head *head;
	u32 *index;
	void *slots;
	u32 mask;
	u32 capacity;
	u32 stride;
	u32 key_size;
};

/*
 * The array in a struct { head, index[], slots[] } `m`. Constant but for the
 * addresses, so the compiler unrolls the loops of a look-up.
 */
#define SW_ARRAY(m)                                                                                \
	(struct sw_array)                                                                          \
	{                                                                                          \
		.head = &(m).head, .index = (m).index, .slots = (m).slots,                         \
		.mask = sizeof((m).index) / sizeof((m).index[0]) - 1,                              \
		.capacity = sizeof((m).slots) / sizeof((m).slots[0]),                              \
		.stride = sizeof((m).slots[0]), .key_size = sizeof((m).slots[0].key),              \
	}

/*
 * Index entries that a key may be away from its own. A key that finds no free entry there
 * finds the array full: with keys that are not chosen for it, that happens once in 10^10
 * insertions. So a look-up ends, whatever keys a process chooses.
 */
#define SW_FARTHEST 128
/* A look-up that goes farther than this continues out of line, where it is paid for. */
#define SW_NEAR 8

/* The key of a slot. */
#define SW_KEY(slot) ((void *)((struct sw_slot *)(slot) + 1))

/**
 * sw_array_slot() - a slot by its number
 * @a: the array
 * @n: 1 + slot
 *
 * Context: Any.
 * Return: the slot.
 */
static __always_inline struct sw_slot *sw_array_slot(const struct sw_array *a, u32 n)
{
	return (struct sw_slot *)((u8 *)a->slots + (size_t)(n - 1) * a->stride);
}

/**
 * sw_hash() - hash of a key
 * @key: the key
 * @size: bytes of the key; a multiple of 8, constant in generated code
 *
 * Context: Any.
 * Return: the hash. Good in its low bits, which choose the index entry.
 */
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

/* Compares two keys of `size` bytes, word by word. */
static __always_inline bool sw_same_key(const void *a, const void *b, u32 size)
{
	const u64 *x = a, *y = b;
	u32 i;

	for (i = 0; i < size / 8; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

/**
 * sw_array_find_far() - continues a look-up that has met many other keys
 * @index: as in struct sw_array, and likewise the next four
 * @slots: the slots
 * @mask: number of index entries - 1
 * @stride: bytes of a slot
 * @key_size: bytes of a key
 * @key: the key
 * @hash: its hash
 * @i: where to go on in the index
 *
 * Pays for itself. It does not take the array's address, so that the compiler needs no memory
 * for one in each look-up.
 *
 * Context: Handler; of an array with deletion, with its lock held.
 * Return: 1 + slot; 0 if the key is not in the array.
 */
u32 sw_array_find_far(const u32 *index, void *slots, u32 mask, u32 stride, u32 key_size,
		      const void *key, u32 hash, u32 i);

/**
 * sw_array_find_hash() - finds a key whose hash is known
 * @a: the array
 * @key: the key
 * @hash: its hash
 * @far: a constant: whether to go on where there are many other keys
 *
 * Ends at an empty index entry, or where the key would be too far from its own. Misses a
 * key that another CPU appends at the same time.
 *
 * Context: Handler; of an array with deletion, with its lock held.
 * Return: 1 + slot; 0 if the key is not in the array.
 */
static __always_inline u32 sw_array_find_hash(const struct sw_array *a, const void *key, u32 hash,
					      bool far)
{
	u32 i, n;

	for (i = hash & a->mask; (n = sw_load_acquire(&a->index[i])); i = (i + 1) & a->mask) {
		struct sw_slot *slot = sw_array_slot(a, n);

		if (slot->hash == hash && sw_same_key(SW_KEY(slot), key, a->key_size))
			return n;
		if (unlikely(((i - hash) & a->mask) == SW_NEAR))
			return far ? sw_array_find_far(a->index, a->slots, a->mask, a->stride,
						       a->key_size, key, hash, i + 1)
				   : 0;
	}
	return 0;
}

/**
 * sw_array_find() - finds a key
 * @a: the array
 * @key: the key
 *
 * Context: Handler; of an array with deletion, with its lock held.
 * Return: 1 + slot; 0 if the key is not in the array.
 */
static __always_inline u32 sw_array_find(const struct sw_array *a, const void *key)
{
	return sw_array_find_hash(a, key, sw_hash(key, a->key_size), true);
}

/**
 * sw_array_find_near() - finds a key that is close to its own index entry, as most are
 * @a: the array
 * @key: the key
 *
 * Calls nothing, so a handler that calls nothing else needs no stack.
 *
 * Context: Handler; of an array with deletion, with its lock held.
 * Return: 1 + slot; 0 if the key is not there.
 */
static __always_inline u32 sw_array_find_near(const struct sw_array *a, const void *key)
{
	return sw_array_find_hash(a, key, sw_hash(key, a->key_size), false);
}

/**
 * sw_array_find_long() - sw_array_find(), out of line, for long keys
 * @a: the array
 * @key: the key
 *
 * The loops over a key of more than 64 bytes take hundreds of instructions, so
 * the call costs little, and the compiler does not unroll them for each array.
 *
 * Context: Handler; of an array with deletion, with its lock held.
 * Return: 1 + slot; 0 if the key is not in the array.
 */
u32 sw_array_find_long(const struct sw_array *a, const void *key);

/**
 * sw_array_append() - finds or adds a key, in an array without deletion
 * @a: the array
 * @key: the key
 * @lock: the array's lock, which this function takes and releases
 *
 * Context: Handler, after sw_array_find() has not found the key.
 * Return: 1 + slot; 0 if the array is full, there is no free index entry near the key's, or the
 * array's lock stayed held.
 */
u32 sw_array_append(const struct sw_array *a, const void *key, u32 *lock);

/**
 * sw_array_insert() - adds a key, in an array with deletion
 * @a: the array
 * @key: the key, which is not in the array
 * @replaced: NULL, or the count of elements that gave way: a full array drops the first one of its list
 *
 * The slot's sequence is odd afterwards. The caller resets the value and then
 * calls sw_array_publish(), so that no reader sees the new key with an old value.
 *
 * Context: Handler, with the global's lock held.
 * Return: 1 + slot; 0 if the array is full, or there is no free index entry near the key's.
 */
u32 sw_array_insert(const struct sw_array *a, const void *key, u64 *replaced);

/**
 * sw_array_publish() - shows a new slot to readers
 * @a: the array
 * @n: 1 + slot, from sw_array_insert()
 *
 * Context: Handler, with the global's lock held.
 */
void sw_array_publish(const struct sw_array *a, u32 n);

/**
 * sw_array_remove() - removes an element, in an array with deletion
 * @a: the array
 * @n: 1 + slot
 *
 * Context: Handler, with the global's lock held.
 */
void sw_array_remove(const struct sw_array *a, u32 n);

/**
 * sw_array_move_last() - makes an element the newest, in an array with deletion
 * @a: the array
 * @n: 1 + slot, which holds an element and is not the last of the list
 *
 * Context: Handler, with the global's lock held.
 */
void sw_array_move_last(const struct sw_array *a, u32 n);

/**
 * sw_array_touch() - notes that an element is used, in an array whose least recently used one gives way
 * @a: the array
 * @n: 1 + slot
 *
 * Context: Handler, with the global's lock held.
 */
static __always_inline void sw_array_touch(const struct sw_array *a, u32 n)
{
	if (a->head->last != n)
		sw_array_move_last(a, n);
}

/**
 * sw_array_clear() - removes all elements, in an array with deletion
 * @c: the handler's context
 * @a: the array
 *
 * Cost: linear in the number of elements.
 *
 * Context: Handler, after sw_prepare(), with the global's lock held.
 * Return: false if there is no action left for it: nothing was removed.
 */
bool sw_array_clear(struct sw_context *c, const struct sw_array *a);

/**
 * struct sw_sort_entry - an element that foreach is to visit
 * @number: the sort key of a foreach by number
 * @text: the sort key of a foreach by text
 * @slot: 1 + slot
 * @order: position in order of insertion, in which equal elements stay
 */
struct sw_sort_entry {
	union {
		s64 number;
		const char *text;
	};
	u32 slot;
	u32 order;
};

/* Instructions for each element that sw_order_numbers() and sw_order_strings() take. */
#define SW_ORDER_NUMBER 40
#define SW_ORDER_STRING 260

/**
 * sw_order_numbers() - prepares elements for visiting them in the order of their numbers
 * @entry: the elements
 * @n: how many
 * @descending: largest first
 *
 * sw_order_next_number() then takes one after the other. The elements are a heap: preparing
 * it is linear, and a loop that ends early sorts only what it visits.
 *
 * Context: Handler. The caller has paid for SW_ORDER_NUMBER instructions an element.
 */
void sw_order_numbers(struct sw_sort_entry *entry, u32 n, bool descending);

/**
 * sw_order_next_number() - takes the next element
 * @c: the handler's context
 * @entry: the elements, from sw_order_numbers() or what the last call left
 * @n: how many are left, this one included
 * @descending: as it was for sw_order_numbers()
 *
 * Cost: log n comparisons in every case; no memory, no recursion. Pays afterwards.
 *
 * Context: Handler.
 * Return: 1 + the element's slot.
 */
u32 sw_order_next_number(struct sw_context *c, struct sw_sort_entry *entry, u32 n, bool descending);

/**
 * sw_order_strings() - prepares elements for visiting them in the order of their texts
 * @c: the handler's context, which pays for the bytes that are compared
 * @entry: the elements
 * @n: how many
 * @descending: last first
 *
 * As sw_order_numbers(), with texts as unsigned bytes.
 *
 * Context: Handler, after sw_prepare(). The caller has paid for SW_ORDER_STRING instructions an
 * element.
 * Return: false if there was no action left.
 */
bool sw_order_strings(struct sw_context *c, struct sw_sort_entry *entry, u32 n, bool descending);

/**
 * sw_order_next_string() - takes the next element
 * @c: the handler's context
 * @entry: the elements, from sw_order_strings() or what the last call left
 * @n: how many are left, this one included
 * @descending: as it was for sw_order_strings()
 *
 * Context: Handler, after sw_prepare().
 * Return: 1 + the element's slot.
 */
u32 sw_order_next_string(struct sw_context *c, struct sw_sort_entry *entry, u32 n, bool descending);

/*
 * Locks of shared globals.
 *
 * A handler takes the locks of all globals that it touches at its start, in one
 * order for all handlers of the script, and releases them at its end: so handlers
 * are atomic and cannot deadlock on each other. A handler that interrupts the
 * holder on its own CPU cannot wait for it forever either: the reentrancy guard
 * skips such a hit before it takes a lock, and waiting is bounded anyway.
 *
 * The kernel's spinlocks are not an option: they are traced, they call into
 * lockdep, and the wait is not bounded.
 */
bool sw_lock_slow(u32 *lock, u32 locks);

/**
 * sw_lock() - takes the lock of a shared global
 * @lock: 0 if it is free, 1 if it is held
 * @locks: how many locks the handler takes at its start, a constant; 0 for a lock that it takes
 *	later, which is paid for
 *
 * The exchange is a full barrier. Its acquire side pairs with the store-release
 * of sw_unlock(): the holder sees everything that earlier holders wrote.
 *
 * Cost: one locked operation; if the lock is held, turns of waiting: sw_script.lock_turns at
 * most, for all locks together that a handler takes at its start.
 *
 * Context: Handler.
 * Return: false if the lock stayed held: the hit is to be skipped and counted.
 */
static __always_inline bool sw_lock(u32 *lock, u32 locks)
{
	return likely(!sw_exchange(lock, 1)) || sw_lock_slow(lock, locks);
}

/**
 * sw_unlock() - releases the lock of a shared global
 * @lock: the lock
 *
 * Cost: a plain store where the processor keeps the order of stores. Only the holder
 * writes to a held lock (waiting CPUs write only 1, which it holds already), so no
 * locked operation is needed.
 *
 * Context: Handler, with the lock held.
 */
static __always_inline void sw_unlock(u32 *lock)
{
	sw_store_release(lock, 0);
}

/**
 * sw_write_begin() - before writes to shared rows of more than one word
 * @sequence: the global's sequence, odd while its rows are written
 *
 * Readers of the mapping take no lock. A reader loads the sequence (acquire),
 * copies the rows, loads the sequence again, and keeps the copy if both values
 * are equal and even: then no write fell between them, and the copy is not torn.
 * The fence keeps the writes to rows after the store that makes the sequence
 * odd; it is only a compiler barrier where stores keep their order. Writers exclude
 * each other by the global's lock, so the increment needs no locked operation.
 *
 * Context: Handler, with the global's lock held.
 */
static __always_inline void sw_write_begin(u32 *sequence)
{
	sw_store_release(sequence, *sequence + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/**
 * sw_write_end() - after writes to shared rows of more than one word
 * @sequence: the global's sequence, even afterwards
 *
 * The store-release keeps the writes to rows before it. It pairs with the
 * reader's first load of the sequence.
 *
 * Context: Handler, with the global's lock held.
 */
static __always_inline void sw_write_end(u32 *sequence)
{
	sw_store_release(sequence, *sequence + 1);
}

#endif
