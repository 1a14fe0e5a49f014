// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints of begin, end and error probes wait for the reader where those of other probes are lost.
 *
 * These handlers run in a process, while no hook is attached: nothing hits while one of them
 * sleeps. It keeps its CPU's block, and its process stays on that CPU (migration is off), so
 * whoever takes the block meanwhile (sw_context_take(), as for SW_IOC_EXIT) is a process on the
 * same CPU, and has given it back when the handler goes on. No record is in progress then, and
 * what such a process may have changed in the context is restored.
 *
 * A wait ends when the record has room, when the process is killed, or when the reader has given
 * nothing back for RING_WAIT_MS. In the last two cases this phase waits no more: its prints are
 * lost and counted like others.
 */
#include <linux/sched/signal.h>
#include "core/runtime.h"

#define RING_WAIT_MS 1000

static struct task_struct *ring_wait_task; /* it runs a phase's handler, which may wait */
static DECLARE_WAIT_QUEUE_HEAD(ring_wait_queue);

void sw_ring_waits_begin(void)
{
#ifdef SW_HAVE_MIGRATE_DISABLE
	migrate_disable();
	WRITE_ONCE(ring_wait_task, current);
#endif
}

void sw_ring_waits_end(void)
{
#ifdef SW_HAVE_MIGRATE_DISABLE
	WRITE_ONCE(ring_wait_task, NULL);
	migrate_enable();
#endif
}

/* The reader's full barrier pairs with the one of the waiter, which tests `tail` afterwards. */
void sw_ring_waits_wake(void)
{
	if (wq_has_sleeper(&ring_wait_queue))
		wake_up_all(&ring_wait_queue);
}

static bool ring_wait_has_room(struct sw_ring *ring, u64 need)
{
	return READ_ONCE(ring->head) + need - smp_load_acquire(&ring->tail) <= ring->size;
}

/* A timed hit is timed no more: the probe has not used the time in which it slept. */
bool sw_ring_wait(struct sw_context *c, u64 need)
{
	struct sw_ring *ring = c->ring;
	u32 probe = c->probe;
	long left;

	if (READ_ONCE(ring_wait_task) != current || irqs_disabled() || need > ring->size)
		return false;
	/* One is the handler's own; with more, something that it holds forbids to sleep. */
	if (IS_ENABLED(CONFIG_PREEMPT_COUNT) && preempt_count() != PREEMPT_OFFSET)
		return false;
	preempt_enable();
	left = wait_event_killable_timeout(ring_wait_queue, ring_wait_has_room(ring, need),
					   msecs_to_jiffies(RING_WAIT_MS));
	preempt_disable();
	WRITE_ONCE(c->busy, 1);
	c->probe = probe;
	c->looked = sw_clock_monotonic();
	if (left <= 0)
		WRITE_ONCE(ring_wait_task, NULL);
	return left > 0;
}
