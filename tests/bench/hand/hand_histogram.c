// SPDX-License-Identifier: GPL-2.0-or-later
/* A histogram of an argument, by powers of two: two instructions on this CPU's words. */
#include <linux/bitops.h>
#include "hand.h"

struct histogram {
	s64 sum;
	u64 buckets[66]; /* 0: negative, 1: zero, k + 2: 2^k and above */
};

static DEFINE_PER_CPU(struct histogram, sizes);

static u64 hand_events(void)
{
	u64 sum = 0;
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < ARRAY_SIZE(sizes.buckets); i++)
			sum += per_cpu(sizes, cpu).buckets[i];
	return sum;
}

static void on_call(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		    struct ftrace_regs *regs)
{
	s64 size = ftrace_regs_get_argument(regs, 2);

	this_cpu_add(sizes.sum, size);
	this_cpu_inc(sizes.buckets[size < 0 ? 0 : 1 + fls64(size)]);
}

static struct ftrace_ops ops = { .func = on_call };

static int __init hand_init(void)
{
	return hand_place_function(&ops);
}

static void __exit hand_exit(void)
{
	hand_remove_function(&ops);
}

module_init(hand_init);
module_exit(hand_exit);
