// SPDX-License-Identifier: GPL-2.0-or-later
/* context.c - the slow ways into and out of handlers, and the gates of all CPUs. */
#include <linux/delay.h>
#include "core/runtime.h"

static atomic64_t errors;
static u64 most_errors;

const char sw_ended[] = "the script has ended itself";

void sw_preempt_check(void)
{
	sw_preempt_schedule();
}

/* Hits before the start and after the end are nobody's loss. */
void sw_refused(struct sw_context *c, struct sw_probe_counts *counts)
{
	if (!READ_ONCE(c->closed))
		counts->skipped_reentrant++;
}

void sw_failed(struct sw_context *c, struct sw_probe_counts *counts)
{
	c->reserving = 0;
	if (c->error == sw_ended)
		return;
	counts->errors++;
	sw_event_text(c, SW_EVENT_ERROR, c->error_site, c->error);
	if ((u64)atomic64_inc_return(&errors) > most_errors) {
		WRITE_ONCE(sw_header->failed, 1);
		sw_exit(c);
	}
}

void sw_errors_reset(u64 most)
{
	atomic64_set(&errors, 0);
	most_errors = most;
	WRITE_ONCE(sw_header->failed, 0);
}

/*
 * Handlers run to their end with preemption off, so with preemption off a process never finds its
 * CPU's context busy. Interrupts that hit meanwhile are refused like any other nested hit.
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

void sw_gates_set(u32 closed)
{
	u32 lane;

	for (lane = 0; lane < sw_nr_lanes; lane++)
		WRITE_ONCE(sw_lane_context(lane)->closed, closed);
}

/* Removing the hooks has waited for their handlers already; this is the belt to those braces. */
void sw_gates_drain(void)
{
	u32 lane, patience = 1000;

	synchronize_rcu();
	for (lane = 0; lane < sw_nr_lanes; lane++) {
		for (; READ_ONCE(sw_lane_context(lane)->busy) && patience; patience--)
			usleep_range(1000, 2000);
		if (READ_ONCE(sw_lane_context(lane)->busy))
			sw_log(KERN_ERR, "a handler on lane %u has not ended", lane);
	}
}
