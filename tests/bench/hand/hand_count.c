// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts calls: one instruction on this CPU's counter, which nothing can interrupt. */
#include "hand.h"

static DEFINE_PER_CPU(u64, calls);

static u64 hand_events(void)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(calls, cpu);
	return sum;
}

static void on_call(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		    struct ftrace_regs *regs)
{
	this_cpu_inc(calls);
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
