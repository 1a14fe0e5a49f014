// SPDX-License-Identifier: GPL-2.0-or-later
/* A histogram of the time from entry to return: the kretprobe's data keeps the entry's time. */
#include <linux/bitops.h>
#include <linux/ktime.h>
#include "hand.h"

struct histogram {
	s64 sum;
	u64 buckets[66];
};

static DEFINE_PER_CPU(struct histogram, times);

static u64 hand_events(void)
{
	u64 sum = 0;
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < ARRAY_SIZE(times.buckets); i++)
			sum += per_cpu(times, cpu).buckets[i];
	return sum;
}

static int on_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*(u64 *)instance->data = ktime_get_mono_fast_ns();
	return 0;
}

static int on_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	s64 took = ktime_get_mono_fast_ns() - *(u64 *)instance->data;

	this_cpu_add(times.sum, took);
	this_cpu_inc(times.buckets[took < 0 ? 0 : 1 + fls64(took)]);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = HAND_FUNCTION,
	.entry_handler = on_entry,
	.handler = on_return,
	.data_size = sizeof(u64),
	.maxactive = 256,
};

static int __init hand_init(void)
{
	return register_kretprobe(&probe);
}

static void __exit hand_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(hand_init);
module_exit(hand_exit);
