// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measures what a hook adds to the time of its handler: the time of a call of a function with
 * an empty handler attached, less the time without. The function is a short one of the kernel
 * that is hardly ever called, so nobody else pays for the hook. The least of several rounds
 * counts, as whatever interferes can only add.
 *
 * A timer's cost is the time that its interrupts take from a loop. It includes the interrupt,
 * which the machine would not have without the timer. The loop is in the kernel, and most
 * interrupts come from user mode, where entry and exit take some more.
 */
#include <linux/ftrace.h>
#include <linux/hrtimer.h>
#include <linux/kprobes.h>
#include "probes/hook.h"

#define HOOK_COST_FUNCTION int_sqrt
#define HOOK_COST_NAME	   "int_sqrt"
#define HOOK_COST_CALLS	   64
#define HOOK_COST_ROUNDS   32
#define HOOK_COST_TURNS	   1000000 /* of the loop that timers interrupt */
#define HOOK_COST_PERIOD   20000   /* ns */
#define HOOK_COST_USER	   120	   /* cycles */

/* The least time of some calls, in ns. */
static u64 hook_cost_calls(void)
{
	u64 least = U64_MAX;
	u32 round, i;

	for (round = 0; round < HOOK_COST_ROUNDS; round++) {
		unsigned long flags;
		u64 start;

		local_irq_save(flags);
		start = sw_meter_clock();
		for (i = 0; i < HOOK_COST_CALLS; i++)
			HOOK_COST_FUNCTION(1);
		least = min(least, sw_meter_clock() - start);
		local_irq_restore(flags);
		cond_resched();
	}
	return sw_meter_ns(least);
}

/* A hook's time, from the times without it and with it; at least 1, as 0 means unknown. */
static u32 hook_cost_of(u64 before, u64 after)
{
	return after > before ? max_t(u32, (after - before) / HOOK_COST_CALLS, 1) : 1;
}

static void hook_cost_on_entry(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			       void *regs)
{
}

static int hook_cost_of_ftrace(u32 *ns)
{
	static struct ftrace_ops ops = {
		.func = (ftrace_func_t)hook_cost_on_entry,
		.flags = SW_FTRACE_ARGUMENTS | SW_FTRACE_GUARDED,
	};
	u64 before = hook_cost_calls();
	int error = ftrace_set_filter_ip(&ops, (unsigned long)HOOK_COST_FUNCTION, 0, 1);

	if (!error)
		error = register_ftrace_function(&ops);
	if (!error) {
		*ns = hook_cost_of(before, hook_cost_calls());
		unregister_ftrace_function(&ops);
	}
	ftrace_set_filter(&ops, NULL, 0, 1);
	return error;
}

static int hook_cost_on_kprobe(struct kprobe *probe, struct pt_regs *regs)
{
	return 0;
}

static int hook_cost_of_kprobe(u32 *ns)
{
	static struct kprobe probe;
	u64 before = hook_cost_calls();
	int error;

	probe = (struct kprobe){
		.symbol_name = HOOK_COST_NAME,
		.pre_handler = hook_cost_on_kprobe,
	};
	error = register_kprobe(&probe);
	if (error)
		return error;
	*ns = hook_cost_of(before, hook_cost_calls());
	unregister_kprobe(&probe);
	return 0;
}

static int hook_cost_on_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return 0;
}

static int hook_cost_of_kretprobe(u32 *ns)
{
	static struct kretprobe probe;
	u64 before = hook_cost_calls();
	int error;

	probe = (struct kretprobe){
		.kp.symbol_name = HOOK_COST_NAME,
		.handler = hook_cost_on_return,
		.entry_handler = hook_cost_on_return,
		.maxactive = 64,
	};
	error = register_kretprobe(&probe);
	if (error)
		return error;
	*ns = hook_cost_of(before, hook_cost_calls());
	unregister_kretprobe(&probe);
	return 0;
}

struct hook_cost_timer {
	struct hrtimer timer;
	u32 ticks;
};

static enum hrtimer_restart hook_cost_on_tick(struct hrtimer *timer)
{
	struct hook_cost_timer *t = container_of(timer, struct hook_cost_timer, timer);

	t->ticks++;
	hrtimer_forward_now(timer, ns_to_ktime(HOOK_COST_PERIOD));
	return HRTIMER_RESTART;
}

/* The time of a loop, in ns; the process stays on its CPU. */
static u64 hook_cost_loop(void)
{
	u64 start = sw_meter_clock();
	u32 turn;

	for (turn = 0; turn < HOOK_COST_TURNS; turn++)
		barrier();
	return sw_meter_ns(sw_meter_clock() - start);
}

static u64 hook_cost_loop_with(struct hook_cost_timer *t)
{
	ktime_t period = ns_to_ktime(HOOK_COST_PERIOD);
	u64 ns;

	hrtimer_start(&t->timer, period, HRTIMER_MODE_REL_PINNED_HARD);
	ns = hook_cost_loop();
	hrtimer_cancel(&t->timer);
	return ns;
}

static int hook_cost_of_timer(u32 *ns)
{
	struct hook_cost_timer *t = kzalloc(sizeof(*t), SW_GFP);
	u64 before = U64_MAX, least = U64_MAX, after;
	u32 round;

	if (!t)
		return -ENOMEM;
	sw_hrtimer_setup(&t->timer, hook_cost_on_tick, HRTIMER_MODE_REL_PINNED_HARD);
	for (round = 0; round < 4; round++) {
		preempt_disable();
		before = min(before, hook_cost_loop());
		t->ticks = 0;
		after = hook_cost_loop_with(t);
		preempt_enable();
		if (t->ticks && after > before)
			least = min(least, (after - before) / t->ticks);
		cond_resched();
	}
	kfree(t);
	if (least > U32_MAX / 2)
		return -EAGAIN;
	*ns = (u32)(least + sw_meter_ns(HOOK_COST_USER));
	return 0;
}

typedef int hook_cost_measure(u32 *ns);

static hook_cost_measure *const hook_costs[] = {
	[SW_COST_FTRACE] = hook_cost_of_ftrace,
	[SW_COST_KPROBE] = hook_cost_of_kprobe,
	[SW_COST_KRETPROBE] = hook_cost_of_kretprobe,
	[SW_COST_TIMER] = hook_cost_of_timer,
};

/* A cost that cannot be measured, because there is no such hook or function, stays unknown. */
int sw_hook_costs_measure(u32 *hook_ns)
{
	u32 i;

	if (sw_state() != SW_LOADED)
		return -EBUSY;
	for (i = 0; i < sw_script.nr_probes; i++) {
		u32 cost = sw_hook_cost_of(&sw_script.probes[i]);

		if (sw_hook_interrupted())
			return -EINTR;
		if (cost < ARRAY_SIZE(hook_costs) && !hook_ns[cost])
			hook_costs[cost](&hook_ns[cost]);
	}
	return 0;
}
