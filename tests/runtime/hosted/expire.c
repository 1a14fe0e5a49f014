// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Elements of an array without deletion expire while threads hit them, each in a lane of its own.
 *
 *   expire SEED HITS     4 threads with HITS hits each, or as many more as it takes until elements
 *                        were removed and the array was full; silent if no hit is lost or doubled
 *
 * As in the kernel: a look-up without a lock, then an addition to the row in the own lane; the keys
 * are more than the array has room for. Each thread counts its hits and those that found the array
 * full. What is removed, and what is left at the end, is what was counted.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/runtime.h"
#include "lib/expire.h"
#include "lib/table.h"

enum { THREADS = 4, SLOTS = 24, ENTRIES = 64, KEYS = 40, BATCH = 8 };

struct slot {
	struct sw_slot slot;
	u64 key;
};

struct shared {
	u64 lock;
	struct {
		struct sw_array_head head;
		u32 index[ENTRIES];
		struct slot slots[SLOTS];
	} calls;
};

struct lane {
	u64 calls[SLOTS][2]; /* hits, and the sum of their keys */
	u64 busy;
};

void *sw_shared;
__thread void *sw_user_area;
void **sw_areas, **sw_lane_areas;
u32 sw_nr_lanes = THREADS;

/* What sorting and deleting elements would call; nothing here does. */
bool sw_charge_all(struct sw_context *c, u64 count, u64 cost, const char *what, const char *things)
{
	abort();
}

bool sw_charge_more(struct sw_context *c)
{
	abort();
}

s32 sw_compare(struct sw_context *c, const char *a, const char *b)
{
	abort();
}

static const struct sw_table table = {
	.rows = offsetof(struct lane, calls),
	.head = offsetof(struct shared, calls.head),
	.lock = offsetof(struct shared, lock),
	.entries = ENTRIES,
	.capacity = SLOTS,
	.stride = sizeof(struct slot),
	.key_size = sizeof(u64),
	.row_size = 2 * sizeof(u64),
};

static u64 hits_least, seed, made[THREADS], full[THREADS], running = THREADS;
static bool enough; /* elements were removed, and hits found no room */

static struct lane *lane_of(u32 number)
{
	return (struct lane *)((char *)sw_lane_areas[number] + sw_script.lane_offset);
}

static u64 next(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static void hit(struct lane *lane, u64 key, u64 *dropped)
{
	const struct sw_array a = SW_ARRAY(((struct shared *)sw_shared)->calls);
	u32 n;

	__atomic_store_n(&lane->busy, lane->busy + 1, __ATOMIC_SEQ_CST);
	n = sw_array_find(&a, &key);
	if (!n)
		n = sw_array_append(&a, &key, (u32 *)sw_shared);
	if (n) {
		assert(*(u64 *)SW_KEY(sw_array_slot(&a, n)) == key);
		WRITE_ONCE(lane->calls[n - 1][0], lane->calls[n - 1][0] + 1);
		WRITE_ONCE(lane->calls[n - 1][1], lane->calls[n - 1][1] + key);
	} else {
		__atomic_fetch_add(dropped, 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&lane->busy, lane->busy + 1, __ATOMIC_SEQ_CST);
}

static void *work(void *number)
{
	u32 n = (u32)(size_t)number;
	u64 state = seed + n, i, burst, key;

	sw_user_area = sw_lane_areas[n];
	for (i = 0; i < hits_least || !__atomic_load_n(&enough, __ATOMIC_RELAXED);) {
		key = 1 + next(&state) % KEYS;
		for (burst = next(&state) % 64; burst; burst--, i++)
			hit(lane_of(n), key, &full[n]);
		if (next(&state) % 4 == 0)
			sched_yield();
	}
	made[n] = i;
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* As sw_handlers_quiesce(): each thread is seen outside of a hit, or in another one. */
static void quiesce(void)
{
	u32 n;

	for (n = 0; n < THREADS; n++) {
		u64 *busy = &lane_of(n)->busy, before = __atomic_load_n(busy, __ATOMIC_SEQ_CST);

		while (before & 1 && __atomic_load_n(busy, __ATOMIC_SEQ_CST) == before)
			sched_yield();
	}
}

static struct sw_expire *request(u64 *state, bool all)
{
	static u64 room[sizeof(struct sw_expire) / 8 + SW_EXPIRE_MOST * 3];
	const struct sw_array a = sw_table_array(&table);
	struct sw_expire *r = (struct sw_expire *)room;
	u32 used = sw_load_acquire(&a.head->used), n;

	*r = (struct sw_expire){ .table = table };
	for (n = 1; n <= used && r->count < (all ? SLOTS : BATCH); n++) {
		u32 sequence = sw_load_acquire(&sw_array_slot(&a, n)->sequence);
		u64 *element = r->data + 3 * r->count;

		if (sequence & 1 || (!all && next(state) % 2))
			continue;
		element[0] = n | (u64)sequence << 32;
		sw_lanes_add(element + 1, offsetof(struct lane, calls[n - 1]), 2);
		r->count++;
	}
	return r;
}

int main(int argc, char **argv)
{
	u64 state, removed_elements = 0, counted = 0, sum = 0, missed = 0, row[2], requests = 0;
	u64 hits_made = 0;
	static char context[4096];
	struct shared *s;
	pthread_t threads[THREADS];
	u32 n;

	assert(argc == 3);
	state = seed = strtoull(argv[1], NULL, 0);
	hits_least = strtoull(argv[2], NULL, 0);
	*(struct sw_script *)&sw_script = (struct sw_script){
		.lane_offset = 4096,
		.lane_size = sizeof(struct lane),
		.shared_size = sizeof(struct shared),
	};
	sw_shared = s = calloc(1, sizeof(*s));
	sw_lane_areas = calloc(THREADS, sizeof(*sw_lane_areas));
	for (n = 0; n < THREADS; n++)
		sw_lane_areas[n] = calloc(1, 4096 + sizeof(struct lane));
	sw_user_area = context;
	assert(sw_table_is_valid(&table));
	for (n = 0; n < THREADS; n++)
		assert(!pthread_create(&threads[n], NULL, work, (void *)(size_t)n));
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST)) {
		const struct sw_expire *r = request(&state, false);
		u32 sequence[SLOTS], i;

		sw_expire_begin(r, row);
		quiesce();
		removed_elements += sw_expire_end(r, row, true);
		requests++;
		for (i = 0; i < r->count;
		     i++) { /* removed with what the request says, or still there */
			u32 slot = (u32)r->data[3 * i];

			sequence[i] = sw_load_acquire(&s->calls.slots[slot - 1].slot.sequence);
			if (sequence[i] != r->data[3 * i] >> 32) {
				counted += r->data[3 * i + 1];
				sum += r->data[3 * i + 2];
				assert(r->data[3 * i + 2] % r->data[3 * i + 1] ==
				       0); /* of one key */
			}
		}
		assert(!(s->calls.head.changes & 1));
		if (removed_elements && __atomic_load_n(&full[0], __ATOMIC_RELAXED))
			__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
		if (!r->count)
			sched_yield();
	}
	for (n = 0; n < THREADS; n++) {
		pthread_join(threads[n], NULL);
		missed += full[n];
		hits_made += made[n];
	}
	for (n = 1; n <= s->calls.head.used; n++) {
		sw_lanes_add(row, offsetof(struct lane, calls[n - 1]), 2);
		counted += row[0];
		sum += row[1];
		assert(row[1] == row[0] * s->calls.slots[n - 1].key);
		assert(!(s->calls.slots[n - 1].slot.sequence & 1) || !row[0]);
	}
	assert(counted + missed == hits_made);
	assert(removed_elements && missed);
	/* nothing is left when all is removed, and all slots are used again */
	do {
		const struct sw_expire *r = request(&state, true);

		sw_expire_begin(r, row);
		sw_expire_end(r, row, true);
	} while (s->calls.head.live);
	for (n = 0; n < ENTRIES; n++)
		assert(!s->calls.index[n]);
	sw_user_area = sw_lane_areas[0];
	for (n = 1, missed = 0; n <= SLOTS + 1; n++)
		hit(lane_of(0), 1000 + n, &missed);
	assert(missed == 1 && s->calls.head.live == SLOTS);
	fprintf(stderr, "%llu requests removed %llu elements\n", (unsigned long long)requests,
		(unsigned long long)removed_elements);
	return 0;
}
