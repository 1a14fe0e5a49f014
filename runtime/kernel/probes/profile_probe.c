// SPDX-License-Identifier: GPL-2.0-or-later
/* timer.profile: one pinned hrtimer on each online CPU. */
#include <linux/hrtimer.h>
#include <asm/irq_regs.h>
#include "probes/hook.h"

/* One CPU's timer. */
struct profile_timer {
	struct hrtimer timer;
	struct profile_hook *owner;
	u64 missed; /* written by the callback only */
};

struct profile_hook {
	struct sw_cpu_hotplug hotplug;
	sw_regs_handler *handler;
	ktime_t interval;
	struct profile_timer __percpu *timers;
};

static enum hrtimer_restart profile_expired(struct hrtimer *timer)
{
	struct profile_timer *t = container_of(timer, struct profile_timer, timer);
	struct profile_hook *owner = t->owner;
	u64 ticks;

	owner->handler((struct sw_regs *)get_irq_regs());
	ticks = hrtimer_forward_now(timer, owner->interval);
	if (ticks > 1)
		WRITE_ONCE(t->missed, t->missed + ticks - 1);
	return HRTIMER_RESTART;
}

/*
 * Runs on the CPU that the timer is for: a pinned timer starts where it is started
 * from.
 */
static void profile_cpu_online(struct sw_cpu_hotplug *hotplug, unsigned int cpu)
{
	struct profile_hook *p = container_of(hotplug, struct profile_hook, hotplug);
	struct profile_timer *t = per_cpu_ptr(p->timers, cpu);

	hrtimer_start(&t->timer, p->interval, HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * Waits for the callback. Without this a CPU that goes offline hands its timers to
 * another one.
 */
static void profile_cpu_offline(struct sw_cpu_hotplug *hotplug, unsigned int cpu)
{
	struct profile_hook *p = container_of(hotplug, struct profile_hook, hotplug);

	hrtimer_cancel(&per_cpu_ptr(p->timers, cpu)->timer);
}

static u64 profile_hook_missed(const struct sw_attachment *a)
{
	const struct profile_hook *p = a->hook;
	u64 missed = 0;
	u32 cpu;

	for_each_possible_cpu(cpu)
		missed += READ_ONCE(per_cpu_ptr(p->timers, cpu)->missed);
	return missed;
}

static void profile_free(struct profile_hook *p)
{
	free_percpu(p->timers);
	sw_memory_add(-(s64)(num_possible_cpus() * sizeof(struct profile_timer)));
	sw_hook_free(p, sizeof(*p));
}

static struct profile_hook *profile_create(const struct sw_probe *probe)
{
	struct profile_hook *p = sw_hook_alloc(sizeof(*p));
	s64 rate = probe->profile.rate ?: HZ;
	u32 cpu;

	if (!p)
		return NULL;
	p->hotplug.online = profile_cpu_online;
	p->hotplug.offline = profile_cpu_offline;
	p->handler = probe->handler;
	p->interval = ns_to_ktime(NSEC_PER_SEC / clamp_t(s64, rate, 1, SW_MOST_HITS));
	p->timers = alloc_percpu_gfp(struct profile_timer, SW_GFP_PERCPU);
	if (!p->timers) {
		sw_hook_free(p, sizeof(*p));
		return NULL;
	}
	sw_memory_add(num_possible_cpus() * sizeof(struct profile_timer));
	for_each_possible_cpu(cpu) {
		struct profile_timer *t = per_cpu_ptr(p->timers, cpu);

		t->owner = p;
		sw_hrtimer_setup(&t->timer, profile_expired, HRTIMER_MODE_REL_PINNED_HARD);
	}
	return p;
}

static int profile_hook_attach(struct sw_attachment *a)
{
	struct profile_hook *p = profile_create(a->probe);
	int error;

	if (!p)
		return -ENOMEM;
	error = sw_cpu_hotplug_add(&p->hotplug, true);
	if (error) {
		profile_free(p);
		return error;
	}
	a->hook = p;
	return 0;
}

/*
 * Calls profile_cpu_offline() on each online CPU; the other CPUs' timers were
 * cancelled as they went.
 */
static void profile_hook_detach(struct sw_attachment *a)
{
	struct profile_hook *p = a->hook;

	sw_cpu_hotplug_remove(&p->hotplug, true);
	a->missed += profile_hook_missed(a);
	profile_free(p);
}

const struct sw_hook_ops sw_profile_ops = {
	.attach = profile_hook_attach,
	.detach = profile_hook_detach,
	.missed = profile_hook_missed,
	.late = true,
};
