// SPDX-License-Identifier: GPL-2.0-or-later
/* profile.c - timer.profile: one pinned hrtimer on each online CPU. */
#include <linux/hrtimer.h>
#include <asm/irq_regs.h>
#include "probes/hook.h"

struct tick {
	struct hrtimer timer;
	struct profile *profile;
	u64 missed;
};

struct profile {
	struct sw_cpus cpus;
	void (*handler)(struct sw_regs *interrupted);
	ktime_t interval;
	struct tick __percpu *ticks;
};

static enum hrtimer_restart on_tick(struct hrtimer *timer)
{
	struct tick *tick = container_of(timer, struct tick, timer);
	struct profile *profile = tick->profile;
	u64 ticks;

	profile->handler((struct sw_regs *)get_irq_regs());
	ticks = hrtimer_forward_now(timer, profile->interval);
	if (ticks > 1)
		tick->missed += ticks - 1;
	return HRTIMER_RESTART;
}

static void start_ticks(struct sw_cpus *cpus, unsigned int cpu)
{
	struct profile *profile = container_of(cpus, struct profile, cpus);
	struct tick *tick = per_cpu_ptr(profile->ticks, cpu);

	hrtimer_start(&tick->timer, profile->interval, HRTIMER_MODE_REL_PINNED_HARD);
}

static void stop_ticks(struct sw_cpus *cpus, unsigned int cpu)
{
	struct profile *profile = container_of(cpus, struct profile, cpus);

	hrtimer_cancel(&per_cpu_ptr(profile->ticks, cpu)->timer);
}

static u64 profile_missed(const struct sw_placement *p)
{
	const struct profile *profile = p->hook;
	u64 missed = 0;
	u32 cpu;

	for_each_possible_cpu(cpu)
		missed += READ_ONCE(per_cpu_ptr(profile->ticks, cpu)->missed);
	return missed;
}

static void profile_free(struct profile *profile)
{
	free_percpu(profile->ticks);
	sw_memory_add(-(s64)(num_possible_cpus() * sizeof(struct tick)));
	sw_hook_free(profile, sizeof(*profile));
}

static struct profile *profile_create(const struct sw_probe *probe)
{
	struct profile *profile = sw_hook_alloc(sizeof(*profile));
	s64 hits = probe->number ?: HZ;
	u32 cpu;

	if (!profile)
		return NULL;
	profile->cpus.online = start_ticks;
	profile->cpus.offline = stop_ticks;
	profile->handler = probe->handler;
	profile->interval = ns_to_ktime(NSEC_PER_SEC / clamp_t(s64, hits, 1, SW_MOST_HITS));
	profile->ticks = alloc_percpu(struct tick);
	if (!profile->ticks) {
		sw_hook_free(profile, sizeof(*profile));
		return NULL;
	}
	sw_memory_add(num_possible_cpus() * sizeof(struct tick));
	for_each_possible_cpu(cpu) {
		struct tick *tick = per_cpu_ptr(profile->ticks, cpu);

		tick->profile = profile;
		sw_hrtimer_setup(&tick->timer, on_tick, HRTIMER_MODE_REL_PINNED_HARD);
	}
	return profile;
}

static int profile_place(struct sw_placement *p)
{
	struct profile *profile = profile_create(p->probe);
	int error;

	if (!profile)
		return -ENOMEM;
	error = sw_cpus_follow(&profile->cpus, true);
	if (error) {
		profile_free(profile);
		return error;
	}
	p->hook = profile;
	return 0;
}

/* Calls stop_ticks for each online CPU, which waits for its handler. */
static void profile_remove(struct sw_placement *p)
{
	struct profile *profile = p->hook;

	sw_cpus_leave(&profile->cpus, true);
	p->missed += profile_missed(p);
	profile_free(profile);
}

const struct sw_hook_ops sw_profile_hook = {
	.place = profile_place,
	.remove = profile_remove,
	.missed = profile_missed,
	.late = true,
};
