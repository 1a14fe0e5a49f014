// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slow paths into and out of handlers, and enabling and disabling the handlers
 * of all CPUs.
 */
#include <linux/delay.h>
#include <linux/sched/task_stack.h>
#include "core/runtime.h"

static atomic64_t context_errors; /* since the start */
static u64 context_max_errors;
#define CONTEXT_STACK 4096 /* see sw_stack_end() */

const char sw_ended[] = "the script has ended itself";

void sw_preempt_check(void)
{
	sw_preempt_schedule();
}

/*
 * Hits before the start and after the end are not counted: the script does not run,
 * so nothing is lost. The guard word is read without a lock: `disabled` may change
 * between sw_enter()'s test and this one, and such a hit counts as either.
 */
void sw_hit_skipped(struct sw_context *c, struct sw_probe_counts *counts)
{
	if (!READ_ONCE(c->disabled))
		counts->skipped_reentrant++;
}

void sw_failed(struct sw_context *c, struct sw_probe_counts *counts)
{
	c->record_in_progress = 0;
	if (c->error == sw_ended)
		return;
	counts->errors++;
	sw_event_text(c, SW_EVENT_ERROR, c->error_site, c->error);
	if ((u64)atomic64_inc_return(&context_errors) > context_max_errors) {
		WRITE_ONCE(sw_header->failed, 1);
		sw_exit(c);
	}
}

unsigned long sw_stack_end(void)
{
	unsigned long sp = sw_own_sp();
	unsigned long task = (unsigned long)task_stack_page(current);

	return sp - task < THREAD_SIZE ? task + CONTEXT_STACK : sp - CONTEXT_STACK;
}

void sw_errors_reset(u64 max_errors)
{
	atomic64_set(&context_errors, 0);
	context_max_errors = max_errors;
	WRITE_ONCE(sw_header->failed, 0);
}

/*
 * A handler runs to its end with preemption off. So a process that turns preemption
 * off never finds its CPU's context busy: a plain store takes it. A hit that
 * interrupts this process afterwards finds the context busy and is skipped, like
 * any other nested hit.
 */
struct sw_context *sw_context_take(u32 probe)
{
	struct sw_context *c;

	sw_preempt_disable();
	c = sw_this_cpu_area();
	WRITE_ONCE(c->busy, 1);
	barrier();
	c->probe = probe;
	return c;
}

void sw_context_give(struct sw_context *c)
{
	sw_leave(c);
}

void sw_handlers_set_disabled(u32 disabled)
{
	u32 lane;

	sw_for_each_lane(lane)
		WRITE_ONCE(sw_lane_context(lane)->disabled, disabled);
}

/*
 * Detaching the hooks has waited for their handlers already. This is a second line
 * of defence before the module's text may go: synchronize_rcu() waits for all code
 * that runs with preemption off, and so for every handler that has passed the test
 * in sw_enter() before `disabled` was set. That also makes the store to `busy` of
 * such a handler visible here, which sw_enter() orders with a compiler barrier only.
 */
void sw_handlers_drain(void)
{
	u32 lane;

	if (sw_handlers_quiesce())
		return;
	sw_for_each_lane(lane)
		if (READ_ONCE(sw_lane_context(lane)->busy))
			sw_log(KERN_ERR, "a handler on lane %u has not ended", lane);
}

/*
 * RCU does not watch an idle CPU on its way into idle and out of it, where hooks may be; so each
 * lane must be seen idle once, too.
 */
bool sw_handlers_quiesce(void)
{
	u32 lane, patience = 1000;

	synchronize_rcu();
	sw_for_each_lane(lane)
		for (; READ_ONCE(sw_lane_context(lane)->busy); patience--) {
			if (!patience)
				return false;
			usleep_range(1000, 2000);
		}
	return true;
}
