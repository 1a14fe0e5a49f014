/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes that a handler at the entry of a program's function keeps for the call's return; no
 * kernel headers.
 *
 * A call is known by its thread, by what was called, and by where the stack is when it returns.
 * Some calls never return: their thread ends, or leaves them by longjmp(). Nobody tells, so a call
 * that finds no free place near its own takes that of the oldest call there.
 *
 * No locks: a place belongs to the one that has made it SAVED_BUSY. Its state is another number
 * each time it is kept, so whoever has read a key between two looks at the state has read it whole.
 */
#ifndef STAPWATCH_SAVED_CALLS_H
#define STAPWATCH_SAVED_CALLS_H

#define SAVED_FREE 0
#define SAVED_BUSY 1
/* Any other state: the place is kept; higher numbers are later calls. */
#define SAVED_FIRST 2

/* Places that a call may be away from its own: four cache lines of 64 bytes, or five. */
#define SAVED_NEAR 8

struct sw_saved_call {
	u64 state;
	u64 thread;
	u64 called;
	u64 stack;
};

struct sw_saved_calls {
	u64 kept; /* the state of the call that was kept last */
	u32 mask; /* one less than the number of places, a power of two */
	u32 data_size;
	struct sw_saved_call *calls;
	u8 *data;
};

static inline u64 sw_saved_hash(u64 thread, u64 called, u64 stack)
{
	u64 hash = (thread ^ (called << 7) ^ (stack * 3)) * 0x9e3779b97f4a7c15ull;

	return hash >> 32;
}

static inline void *sw_saved_data(const struct sw_saved_calls *t, const struct sw_saved_call *call)
{
	return t->data + (u64)(call - t->calls) * t->data_size;
}

static inline struct sw_saved_call *sw_saved_near(const struct sw_saved_calls *t, u64 hash, u32 i)
{
	return &t->calls[(hash + i) & t->mask];
}

static inline bool sw_saved_claim(struct sw_saved_call *call, u64 state)
{
	return __atomic_compare_exchange_n(&call->state, &state, SAVED_BUSY, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline bool sw_saved_is(const struct sw_saved_call *call, u64 thread, u64 called, u64 stack)
{
	return __atomic_load_n(&call->thread, __ATOMIC_RELAXED) == thread &&
	       __atomic_load_n(&call->called, __ATOMIC_RELAXED) == called &&
	       __atomic_load_n(&call->stack, __ATOMIC_RELAXED) == stack;
}

/*
 * A call returns: its place, whose data the caller may read until it frees the place. NULL: nothing
 * was kept, or another call has taken the place. Threads ask for calls of their own only.
 */
static inline struct sw_saved_call *sw_saved_take(struct sw_saved_calls *t, u64 thread, u64 called,
						  u64 stack)
{
	u64 hash = sw_saved_hash(thread, called, stack);
	u32 i;

	for (i = 0; i < SAVED_NEAR; i++) {
		struct sw_saved_call *call = sw_saved_near(t, hash, i);
		u64 state = __atomic_load_n(&call->state, __ATOMIC_ACQUIRE);

		if (state >= SAVED_FIRST && sw_saved_is(call, thread, called, stack) &&
		    sw_saved_claim(call, state))
			return call;
	}
	return NULL;
}

static inline void sw_saved_free(struct sw_saved_call *call)
{
	__atomic_store_n(&call->state, SAVED_FREE, __ATOMIC_RELEASE);
}

/*
 * A call begins: a place for its data, which the caller then keeps or frees. NULL: all places near
 * its own are being written. What an earlier call has left under the same key goes.
 */
static inline struct sw_saved_call *sw_saved_begin(struct sw_saved_calls *t, u64 thread, u64 called,
						   u64 stack)
{
	struct sw_saved_call *same = sw_saved_take(t, thread, called, stack);
	u64 hash = sw_saved_hash(thread, called, stack);
	u32 i;

	if (same)
		return same;
	for (i = 0; i < SAVED_NEAR; i++) {
		struct sw_saved_call *call = sw_saved_near(t, hash, i);

		if (__atomic_load_n(&call->state, __ATOMIC_RELAXED) == SAVED_FREE &&
		    sw_saved_claim(call, SAVED_FREE))
			return call;
	}
	for (i = 0; i < SAVED_NEAR; i++) { /* others may take the oldest, too */
		struct sw_saved_call *oldest = NULL;
		u64 age = 0;
		u32 j;

		for (j = 0; j < SAVED_NEAR; j++) {
			struct sw_saved_call *call = sw_saved_near(t, hash, j);
			u64 state = __atomic_load_n(&call->state, __ATOMIC_RELAXED);

			if (state >= SAVED_FIRST && (!oldest || state < age)) {
				oldest = call;
				age = state;
			}
		}
		if (!oldest)
			break;
		if (sw_saved_claim(oldest, age))
			return oldest;
	}
	return NULL;
}

/* The data is complete. */
static inline void sw_saved_keep(struct sw_saved_calls *t, struct sw_saved_call *call, u64 thread,
				 u64 called, u64 stack)
{
	u64 state = __atomic_add_fetch(&t->kept, 1, __ATOMIC_RELAXED) + SAVED_FIRST;

	__atomic_store_n(&call->thread, thread, __ATOMIC_RELAXED);
	__atomic_store_n(&call->called, called, __ATOMIC_RELAXED);
	__atomic_store_n(&call->stack, stack, __ATOMIC_RELAXED);
	__atomic_store_n(&call->state, state, __ATOMIC_RELEASE);
}

#endif
