// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the meters need of the kernel: a clock, time slots, and what the hooks cost.
 *
 * The clock is the processor's cycle counter, which is read with one instruction in any
 * context. Only differences on one CPU are used, so it does not matter whether the counters of
 * two CPUs agree. Without a counter it is the kernel's fast clock, in ns.
 *
 * The cost of a hook is all that a hit takes beside its handler's body. Those that
 * hook_cost.c can measure come with the start; others are constants, in cycles: a rough value
 * for processors of today, documented in docs/decisions.md.
 */
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include "probes/hook.h"

#define BUDGET_SHIFT	  22
#define BUDGET_OWN_CYCLES 10 /* sw_enter() and sw_leave() outside of what is timed */

static u64 budget_scale;    /* ns = cycles * budget_scale >> BUDGET_SHIFT */
static u64 budget_overhead; /* cycles */
static u32 *budget_hook_ns; /* of each probe's handler; constant while handlers run */

u64 sw_meter_clock(void)
{
	return budget_scale ? get_cycles() : ktime_get_mono_fast_ns();
}

u64 sw_meter_ns(u64 cycles)
{
	return budget_scale ? mul_u64_u64_shr(cycles, budget_scale, BUDGET_SHIFT) : cycles;
}

u64 sw_meter_cost(u32 probe, u64 cycles)
{
	return sw_meter_ns(cycles - min(cycles, budget_overhead)) + budget_hook_ns[probe];
}

u32 sw_meter_slot(void)
{
	return (u32)(get_jiffies_64() / (HZ / SW_METER_SECOND));
}

u32 sw_online_cpus(void)
{
	return num_online_cpus();
}

/* What a kind of hook costs: a measured time, or cycles if there is none. */
struct budget_kind {
	u32 cost; /* enum sw_cost; SW_NR_COSTS: not measured */
	u32 cycles;
};

/* A hook there makes every system call take its slow path. */
static bool budget_is_syscall(const struct sw_probe *probe)
{
	return !strcmp(probe->symbol, "sys_enter") || !strcmp(probe->symbol, "sys_exit");
}

static struct budget_kind budget_kind_of(const struct sw_probe *probe)
{
	switch (probe->hook) {
	case SW_FTRACE:
		return (struct budget_kind){ SW_COST_FTRACE, 40 };
	case SW_KPROBE:
		return (struct budget_kind){ SW_COST_KPROBE, 150 };
	case SW_KRETPROBE:
	case SW_PAIRED:
		return (struct budget_kind){ SW_COST_KRETPROBE, 450 };
	case SW_TIMER_NS:
	case SW_PROFILE:
		return (struct budget_kind){ SW_COST_TIMER, 2500 };
	case SW_TIMER_JIFFIES:
		return (struct budget_kind){ SW_NR_COSTS, 300 };
	case SW_TRACEPOINT:
		return (struct budget_kind){ SW_NR_COSTS,
					     budget_is_syscall(probe) ? SW_SYSCALL_CYCLES : 12 };
	case SW_NETFILTER:
		return (struct budget_kind){ SW_NR_COSTS, 30 };
	case SW_PROCESS:
		return (struct budget_kind){ SW_NR_COSTS, 150 };
	case SW_WATCHPOINT:
	case SW_PERF:
		return (struct budget_kind){ SW_NR_COSTS, 2500 };
	case SW_UPROBE:
		return (struct budget_kind){ SW_NR_COSTS, 1600 };
	case SW_URETPROBE:
		return (struct budget_kind){ SW_NR_COSTS, 2400 };
	default: /* called by the module itself, or by its own files */
		return (struct budget_kind){ SW_NR_COSTS, 0 };
	}
}

u32 sw_hook_cost_of(const struct sw_probe *probe)
{
	return budget_kind_of(probe).cost;
}

/*
 * A return probe with a handler at the entry has two calls a hit, which share the cost of the
 * hook, whether they count for one probe or for two.
 */
static u32 budget_price(const struct sw_probe *probe, const u32 *hook_ns)
{
	struct budget_kind kind = budget_kind_of(probe);
	u64 ns = sw_meter_ns(kind.cycles);

	if (kind.cost < SW_NR_COSTS && hook_ns[kind.cost])
		ns = hook_ns[kind.cost];
	if (probe->hook == SW_PAIRED || (probe->hook == SW_KRETPROBE && probe->kretprobe.entry) ||
	    (probe->hook == SW_URETPROBE && probe->uprobe.entry))
		ns /= 2;
	return ns + sw_meter_ns(BUDGET_OWN_CYCLES);
}

void sw_budgets_start(const struct sw_start *options)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++)
		budget_hook_ns[i] = budget_price(&sw_script.probes[i], options->hook_ns);
	sw_budgets_set(&options->budgets);
}

/* No handler of a hook runs. */
void sw_budgets_set(const struct sw_budgets *budgets)
{
	u32 lane;

	sw_for_each_lane(lane)
		sw_meters_forget(sw_lane_context(lane));
	sw_meters_limit(budgets);
}

/* No hook is attached yet, so this CPU's context is free. */
static void budget_measure_overhead(void)
{
	unsigned long flags;

	local_irq_save(flags);
	budget_overhead = sw_meter_overhead(sw_this_cpu_area());
	local_irq_restore(flags);
}

int sw_budgets_create(void)
{
	u32 khz = sw_cycles_khz(), lane;

	BUILD_BUG_ON(HZ % SW_METER_SECOND);
	budget_hook_ns = kvcalloc(max(sw_script.nr_probes, 1U), sizeof(*budget_hook_ns), SW_GFP);
	if (!budget_hook_ns)
		return -ENOMEM;
	sw_memory_add(sw_script.nr_probes * sizeof(*budget_hook_ns));
	budget_scale = khz ? div_u64(1000000ULL << BUDGET_SHIFT, khz) : 0;
	sw_for_each_lane(lane)
		sw_meters_init(sw_lane_context(lane));
	budget_measure_overhead();
	return 0;
}

void sw_budgets_destroy(void)
{
	kvfree(budget_hook_ns);
}
