// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walks with random tables, registers, lists of files and stacks, under sanitizers.
 *
 *   unwind_any SEED ROUNDS
 *
 * Tables are as the compiler makes them (ascending, numbers within the rules), and whatever belongs to the
 * process is arbitrary: its words are often addresses of its own memory, so that walks go far. Prints the
 * most frames, the number of walks that were paid out, and how often each step ended so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stapwatch.h"
#include "lib/fault_safe.h"

enum { WORDS = 512, CODE = 4096, FRAMES = 64, MOST_RULES = 12, RESULTS = 4 };

static u64 *memory; /* of the process: at addresses of ours, so reads may be of anything there */
static u64 base = 0x10000;
static u32 reads;

static u32 any(u32 below)
{
	return (u32)random() % below;
}

/* The process has one piece of memory at `base`; all else faults. */
int sw_fetch_user(void *to, u64 address, u32 size)
{
	reads++;
	if (address < base || address - base > WORDS * 8 - (u64)size)
		return -1;
	memcpy(to, (const u8 *)memory + (address - base), size);
	return 0;
}

bool sw_charge_more(struct sw_context *c)
{
	c->error = "paid out";
	return false;
}

u64 sw_unwind_return(struct sw_context *c, struct sw_unwinder *u, u64 at, u64 address)
{
	return address;
}

static u64 any_word(void)
{
	switch (any(32)) {
	case 0:
		return (u64)random() << 32 | (u64)random();
	case 1:
		return any(3) - 1ull;
	case 2 ... 9:
		return base + any(WORDS) * 8;
	default:
		return any(CODE); /* code of a file without bias */
	}
}

static void make_table(struct sw_unwind_table *t)
{
	u32 n = any(40), rules = 1 + any(MOST_RULES), i, at = 0;
	struct sw_unwind_rule *r = calloc(rules, sizeof(*r));
	u32 *pcs = calloc(n, sizeof(*pcs));
	u16 *numbers = calloc(n, sizeof(*numbers));
	u8 *id = malloc(20);

	for (i = 0; i < n; i++) {
		pcs[i] = at;
		numbers[i] = (u16)any(rules);
		at += 1 + any(CODE / 20);
	}
	for (i = 0; i < rules; i++) {
		r[i].kind = (u8)(any(4) ? SW_UNWIND_SP : any(SW_UNWIND_SIGNAL + 2));
		r[i].frame = (u8)any(4);
		r[i].offset = any(20) ? 8 + (s32)any(8) * 8 : (s32)random() * 2;
		r[i].frame_offset = any(10) ? (s16)(any(8) * -8) : (s16)random();
		r[i].add = any(3) ? 8 : (s32)random() * 2;
	}
	i = any(WORDS - 3);
	memcpy(id, memory + (any(4) ? i : 0), 20);
	*t = (struct sw_unwind_table){ .id = id,
				       .id_size = any(4) ? any(21) : any(100),
				       .nr_rows = n,
				       .id_at = base + i * 8,
				       .headers = any(3) * 4096,
				       .dynamic = any(4),
				       .debug = any(2) ? base + any(WORDS) * 8 : 0,
				       .start = any(3) * 100,
				       .pcs = pcs,
				       .numbers = numbers,
				       .rules = r };
	if (t->id_size > 20)
		t->id_size = 33; /* more than is compared */
}

static void free_table(const struct sw_unwind_table *t)
{
	free((void *)t->id);
	free((void *)t->pcs);
	free((void *)t->numbers);
	free((void *)t->rules);
}

int main(int argc, char **argv)
{
	u32 rounds = (u32)atoi(argv[2]), round, i, deepest = 0, paid_out = 0, found = 0;
	u32 results[RESULTS] = { 0 };

	srandom((unsigned)atoi(argv[1]));
	memory = malloc(WORDS * 8);
	for (round = 0; round < rounds; round++) {
		u32 n = 1 + any(SW_UNWIND_MOST_FILES), frames = 0;
		struct sw_unwind_table *tables = calloc(n, sizeof(*tables));
		struct sw_script script = { .nr_unwind = n, .unwind = tables };
		struct sw_context c = { .actions = any(10) ? 2000 : (s32)any(40) };
		struct sw_unwinder u = { .ip = any_word(),
					 .stack = base + any(64) * 8,
					 .frame = any_word(),
					 .is_call = any(2) };
		enum sw_unwind_step step = SW_UNWIND_CALLER;

		for (i = 0; i < WORDS; i++)
			memory[i] = any_word();
		for (i = 0; i < n; i++)
			make_table(&tables[i]);
		*(struct sw_script *)&sw_script = script;
		reads = 0;
		sw_unwind_locate(&c, &u, any(10) ? any(3) * 4096ull : any_word());
		if (any(2)) { /* as if all were mapped */
			u.found = n == 32 ? ~0u : (1u << n) - 1;
			memset(u.bias, 0, sizeof(u.bias));
		}
		found += __builtin_popcount(u.found);
		for (; frames < FRAMES && step == SW_UNWIND_CALLER; frames++) {
			u64 sp = u.stack;

			step = sw_unwind_step(&c, &u);
			if (step == SW_UNWIND_CALLER && u.is_call && u.stack <= sp)
				return 1;
		}
		results[step]++;
		deepest = frames > deepest ? frames : deepest;
		paid_out += c.error != NULL;
		if (reads > 2000)
			return 2; /* more than its actions pay for */
		for (i = 0; i < n; i++)
			free_table(&tables[i]);
		free(tables);
	}
	printf("%u %u %u", deepest, paid_out, found);
	for (i = 0; i < RESULTS; i++)
		printf(" %u", results[i]);
	printf("\n");
	free(memory);
	return 0;
}
