// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Carries elements over into a script of its own, with blocks that AddressSanitizer watches.
 *
 *   carry            the cases below; silent if all is as it should be
 *   carry SEED N     N requests at random: what is accepted stays inside of the regions
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/runtime.h"
#include "lib/carry.h"
#include "lib/table.h"

struct key {
	u64 word[2];
};

struct slot {
	struct sw_slot slot;
	struct key key;
};

struct shared {
	u64 limit[2];
	u32 lock;
	struct {
		struct sw_array_head head;
		u32 index[8];
		struct slot slots[3];
	} reads;
	u64 values[3];
};

struct lane {
	u64 count;
	u64 reads[3][2];
};

void *sw_shared;
__thread void *sw_user_area;
void **sw_areas, **sw_lane_areas;
u32 sw_nr_lanes;

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

static struct lane *lane(void)
{
	return (struct lane *)((char *)sw_user_area + sw_script.lane_offset);
}

static struct sw_table array(bool is_shared)
{
	return (struct sw_table){
		.rows = is_shared ? offsetof(struct shared, values) : offsetof(struct lane, reads),
		.head = offsetof(struct shared, reads.head),
		.lock = offsetof(struct shared, lock),
		.entries = 8,
		.capacity = 3,
		.stride = sizeof(struct slot),
		.key_size = sizeof(struct key),
		.row_size = is_shared ? 8 : 16,
		.shared = is_shared,
	};
}

static bool carry(const struct sw_table *r, const u64 *data)
{
	assert(sw_table_is_valid(r));
	return sw_carry_element(sw_user_area, r, data);
}

static void create(void)
{
	struct sw_script script = {
		.lane_offset = 4096,
		.lane_size = sizeof(struct lane),
		.shared_size = sizeof(struct shared),
	};

	*(struct sw_script *)&sw_script = script;
	sw_shared = calloc(1, sizeof(struct shared));
	sw_user_area = calloc(1, script.lane_offset + sizeof(struct lane));
}

static void cases(void)
{
	struct shared *s = sw_shared;
	struct sw_table scalar = { .rows = offsetof(struct lane, count), .row_size = 8 };
	struct sw_table limit = { .rows = offsetof(struct shared, limit),
				  .row_size = 16,
				  .shared = 1 };
	struct sw_table percpu = array(false), deletable = array(true);
	u64 n, full[] = { 9, 9, 1, 1 };

	assert(carry(&scalar, (u64[]){ 5 }) && carry(&scalar, (u64[]){ 2 }));
	assert(lane()->count == 7); /* added */
	assert(carry(&limit, (u64[]){ 5, 6 }) && carry(&limit, (u64[]){ 1, 2 }));
	assert(s->limit[0] == 1 && s->limit[1] == 2); /* written */
	for (n = 1; n <= 3; n++)
		assert(carry(&percpu, (u64[]){ n, 100, n, 10 * n }));
	assert(carry(&percpu, (u64[]){ 2, 100, 7, 7 })); /* the key is there */
	assert(!carry(&percpu, full));
	assert(s->reads.head.used == 3 && !s->lock);
	assert(lane()->reads[1][0] == 9 && lane()->reads[1][1] == 27);
	assert(s->reads.slots[2].key.word[0] == 3 && s->reads.slots[2].slot.sequence == 2);
	memset(&s->reads, 0, sizeof(s->reads));
	assert(carry(&deletable, (u64[]){ 4, 4, 44 }) && carry(&deletable, (u64[]){ 5, 5, 55 }));
	assert(carry(&deletable, (u64[]){ 4, 4, 40 }));
	assert(s->reads.head.live == 2 && s->values[0] == 40 && s->values[1] == 55);
	assert(!(s->reads.slots[0].slot.sequence & 1)); /* readers see it */
}

/* Offsets and sizes near the limits, one or two of a good request changed. */
static void at_random(u32 count)
{
	static u64 data[2 * 65536 / 8];

	while (count--) {
		struct sw_table r = array(rand() & 1);
		u64 *offset[] = { &r.rows, &r.head, &r.lock };
		u32 *size[] = { &r.entries, &r.capacity, &r.stride, &r.key_size, &r.row_size };
		u32 wrong = 1 + rand() % 2;

		while (wrong--) {
			u64 value = rand() & 1 ? (u64)rand() % 400 : ~0ull >> rand() % 64;

			if (rand() & 1)
				*offset[rand() % 3] = value;
			else
				*size[rand() % 5] = (u32)value;
		}
		memset(sw_shared, 0, sizeof(struct shared));
		data[0] = (u64)rand();
		if (sw_table_is_valid(&r))
			sw_carry_element(sw_user_area, &r, data);
	}
}

int main(int argc, char **argv)
{
	create();
	if (argc > 2) {
		srand((unsigned int)atoi(argv[1]));
		at_random((u32)atoi(argv[2]));
	} else {
		cases();
	}
	free(sw_shared);
	free(sw_user_area);
	return 0;
}
