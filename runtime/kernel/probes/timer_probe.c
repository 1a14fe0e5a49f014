// SPDX-License-Identifier: GPL-2.0-or-later
/* timer.ns to timer.s by hrtimers, timer.jiffies by the timer wheel. */
#include <linux/hrtimer.h>
#include <linux/random.h>
#include <linux/timer.h>
#include <asm/irq_regs.h>
#include "probes/hook.h"

/* A shorter interval would leave the CPU no time for anything else. */
#define TIMER_LEAST_NS 10000

/*
 * The period, longer or shorter at random by at most `randomize`, but never below
 * `least`.
 */
static s64 timer_next_interval(const struct sw_probe *probe, s64 least)
{
	s64 interval = probe->timer.period, randomize = probe->timer.randomize;
	u64 any;

	if (randomize > 0) {
		get_random_bytes(&any, sizeof(any));
		interval += (s64)(any % (2 * (u64)randomize + 1)) - randomize;
	}
	return max(interval, least);
}

/*
 * Only the timer's own callback adds to `missed` while it is attached, and it never
 * runs concurrently with itself.
 */
static void timer_add_missed(struct sw_attachment *a, u64 ticks)
{
	WRITE_ONCE(a->missed, a->missed + ticks);
}

struct timer_hrtimer {
	struct hrtimer timer;
	struct sw_attachment *attachment;
};

static ktime_t timer_hrtimer_interval(const struct sw_attachment *a)
{
	return ns_to_ktime(timer_next_interval(a->probe, TIMER_LEAST_NS));
}

/* Counted from the tick that was due and not from now, so intervals do not drift. */
static enum hrtimer_restart timer_hrtimer_expired(struct hrtimer *timer)
{
	struct timer_hrtimer *t = container_of(timer, struct timer_hrtimer, timer);
	struct sw_attachment *a = t->attachment;
	sw_regs_handler *handler = a->probe->handler;
	u64 ticks;

	handler((struct sw_regs *)get_irq_regs());
	ticks = hrtimer_forward_now(timer, timer_hrtimer_interval(a));
	if (ticks > 1)
		timer_add_missed(a, ticks - 1);
	return HRTIMER_RESTART;
}

static int timer_hrtimer_attach(struct sw_attachment *a)
{
	struct timer_hrtimer *t = sw_hook_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	a->hook = t;
	t->attachment = a;
	sw_hrtimer_setup(&t->timer, timer_hrtimer_expired, HRTIMER_MODE_REL_HARD);
	hrtimer_start(&t->timer, timer_hrtimer_interval(a), HRTIMER_MODE_REL_HARD);
	return 0;
}

/*
 * hrtimer_cancel() waits for a running callback, and cancels a timer that this one
 * has restarted.
 */
static void timer_hrtimer_detach(struct sw_attachment *a)
{
	struct timer_hrtimer *t = a->hook;

	hrtimer_cancel(&t->timer);
	sw_hook_free(t, sizeof(*t));
}

const struct sw_hook_ops sw_hrtimer_ops = {
	.attach = timer_hrtimer_attach,
	.detach = timer_hrtimer_detach,
	.late = true,
};

struct timer_jiffies {
	struct timer_list timer;
	struct sw_attachment *attachment;
};

static void timer_jiffies_expired(struct timer_list *timer)
{
	struct timer_jiffies *t = container_of(timer, struct timer_jiffies, timer);
	struct sw_attachment *a = t->attachment;
	sw_regs_handler *handler = a->probe->handler;
	s64 interval = timer_next_interval(a->probe, 1);
	unsigned long next = timer->expires + interval;

	handler((struct sw_regs *)get_irq_regs());
	while (time_before_eq(next, jiffies)) {
		next += interval;
		timer_add_missed(a, 1);
	}
	mod_timer(timer, next);
}

static int timer_jiffies_attach(struct sw_attachment *a)
{
	struct timer_jiffies *t = sw_hook_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	a->hook = t;
	t->attachment = a;
	timer_setup(&t->timer, timer_jiffies_expired, 0);
	mod_timer(&t->timer, jiffies + timer_next_interval(a->probe, 1));
	return 0;
}

/*
 * The callback starts its timer again. The _sync variant waits for a running
 * callback and then deletes the timer that this one has started; plain deletion
 * would leave it behind.
 */
static void timer_jiffies_detach(struct sw_attachment *a)
{
	struct timer_jiffies *t = a->hook;

	sw_timer_delete_sync(&t->timer);
	sw_hook_free(t, sizeof(*t));
}

const struct sw_hook_ops sw_jiffies_timer_ops = {
	.attach = timer_jiffies_attach,
	.detach = timer_jiffies_detach,
	.late = true,
};
