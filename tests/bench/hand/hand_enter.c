// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts all system calls at sys_enter. */
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

static void on_enter(void *data, struct pt_regs *regs, long number)
{
	this_cpu_inc(calls);
}

static int __init hand_init(void)
{
	return hand_place_tracepoint(on_enter);
}

static void __exit hand_exit(void)
{
	hand_remove_tracepoint(on_enter);
}

module_init(hand_init);
module_exit(hand_exit);
