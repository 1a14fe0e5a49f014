// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts calls by the name of the process. Each CPU has a hash table of its own: open
 * addressing, linear probing, at most half full. A handler owns its CPU's table, because
 * preemption is off, and a handler that interrupts it finds the table busy and counts a
 * loss. A reader adds up the tables of all CPUs by name.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include "hand.h"

#define BITS  12
#define LIMIT (1 << (BITS - 1))

struct entry {
	u64 name[TASK_COMM_LEN / sizeof(u64)];
	u64 calls; /* 0: the entry is free */
};

struct table {
	u64 lost;
	u32 busy;
	u32 used;
	struct entry entries[1 << BITS];
};

static DEFINE_PER_CPU(struct table *, tables);

static u64 hand_events(void)
{
	u64 sum = 0;
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < 1 << BITS; i++)
			sum += per_cpu(tables, cpu)->entries[i].calls;
	return sum;
}

static void count(struct table *t, u64 first, u64 second)
{
	u32 i = hash_64(first + 31 * second, BITS);

	for (;; i = (i + 1) & ((1 << BITS) - 1)) {
		struct entry *e = &t->entries[i];

		if (e->name[0] == first && e->name[1] == second && e->calls) {
			e->calls++;
			return;
		}
		if (e->calls)
			continue;
		if (t->used == LIMIT) {
			t->lost++;
			return;
		}
		t->used++;
		e->name[0] = first;
		e->name[1] = second;
		e->calls = 1;
		return;
	}
}

static void on_call(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		    struct ftrace_regs *regs)
{
	const u64 *name = (const u64 *)current->comm; /* padded with NULs */
	struct table *t;

	preempt_disable_notrace();
	t = __this_cpu_read(tables);
	if (likely(!t->busy)) {
		t->busy = 1;
		barrier();
		count(t, name[0], name[1]);
		barrier();
		t->busy = 0;
	} else {
		t->lost++;
	}
	preempt_enable_notrace();
}

static struct ftrace_ops ops = { .func = on_call };

static void free_tables(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kvfree(per_cpu(tables, cpu));
}

static int __init hand_init(void)
{
	int cpu, error;

	for_each_possible_cpu(cpu) {
		struct table *t = kvzalloc_node(sizeof(*t), GFP_KERNEL, cpu_to_node(cpu));

		per_cpu(tables, cpu) = t;
		if (!t) {
			free_tables();
			return -ENOMEM;
		}
	}
	error = hand_place_function(&ops);
	if (error)
		free_tables();
	return error;
}

static void __exit hand_exit(void)
{
	hand_remove_function(&ops);
	free_tables();
}

module_init(hand_init);
module_exit(hand_exit);
