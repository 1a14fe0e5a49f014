// SPDX-License-Identifier: GPL-2.0-or-later
/* timer.c - timer.ns .. timer.s by hrtimer, timer.jiffies by the timer wheel. */
#include <linux/hrtimer.h>
#include <linux/random.h>
#include <linux/timer.h>
#include <asm/irq_regs.h>
#include "probes/hook.h"

/* A shorter interval would leave the CPU no time for anything else. */
#define LEAST_NS 10000

typedef void timer_handler(struct sw_regs *interrupted);

s64 sw_timer_interval(const struct sw_probe *probe, s64 least)
{
	s64 interval = probe->number;
	u64 any;

	if (probe->randomize > 0) {
		get_random_bytes(&any, sizeof(any));
		interval += (s64)(any % (2 * (u64)probe->randomize + 1)) - probe->randomize;
	}
	return max(interval, least);
}

struct fine_timer {
	struct hrtimer timer;
	struct sw_placement *placement;
};

static enum hrtimer_restart on_fine_timer(struct hrtimer *timer)
{
	struct fine_timer *t = container_of(timer, struct fine_timer, timer);
	struct sw_placement *p = t->placement;
	timer_handler *handler = p->probe->handler;
	u64 ticks;

	handler((struct sw_regs *)get_irq_regs());
	/* From the tick that was due, not from now: intervals do not drift. */
	ticks = hrtimer_forward_now(timer, ns_to_ktime(sw_timer_interval(p->probe, LEAST_NS)));
	if (ticks > 1)
		p->missed += ticks - 1;
	return HRTIMER_RESTART;
}

static int fine_place(struct sw_placement *p)
{
	struct fine_timer *t = sw_hook_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	p->hook = t;
	t->placement = p;
	sw_hrtimer_setup(&t->timer, on_fine_timer, HRTIMER_MODE_REL_HARD);
	hrtimer_start(&t->timer, ns_to_ktime(sw_timer_interval(p->probe, LEAST_NS)),
		      HRTIMER_MODE_REL_HARD);
	return 0;
}

static void fine_remove(struct sw_placement *p)
{
	struct fine_timer *t = p->hook;

	hrtimer_cancel(&t->timer);
	sw_hook_free(t, sizeof(*t));
}

const struct sw_hook_ops sw_timer_hook = {
	.place = fine_place,
	.remove = fine_remove,
	.late = true,
};

struct coarse_timer {
	struct timer_list timer;
	struct sw_placement *placement;
};

static void on_coarse_timer(struct timer_list *timer)
{
	struct coarse_timer *t = container_of(timer, struct coarse_timer, timer);
	struct sw_placement *p = t->placement;
	timer_handler *handler = p->probe->handler;
	s64 interval = sw_timer_interval(p->probe, 1);
	unsigned long next = timer->expires + interval;

	handler((struct sw_regs *)get_irq_regs());
	while (time_before_eq(next, jiffies)) {
		next += interval;
		p->missed++;
	}
	mod_timer(timer, next);
}

static int coarse_place(struct sw_placement *p)
{
	struct coarse_timer *t = sw_hook_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	p->hook = t;
	t->placement = p;
	timer_setup(&t->timer, on_coarse_timer, 0);
	mod_timer(&t->timer, jiffies + sw_timer_interval(p->probe, 1));
	return 0;
}

/* The callback re-arms its timer; deleting it waits for the callback and wins over the re-arming.
 */
static void coarse_remove(struct sw_placement *p)
{
	struct coarse_timer *t = p->hook;

	sw_timer_delete_sync(&t->timer);
	sw_hook_free(t, sizeof(*t));
}

const struct sw_hook_ops sw_jiffies_hook = {
	.place = coarse_place,
	.remove = coarse_remove,
	.late = true,
};
