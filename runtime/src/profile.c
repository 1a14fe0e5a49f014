// SPDX-License-Identifier: GPL-2.0-or-later
/* profile.c - timer.profile: one pinned hrtimer on each online CPU, following CPUs as they come and
 * go. */
#include <linux/cpuhotplug.h>
#include <linux/hrtimer.h>
#include <asm/irq_regs.h>
#include "hook.h"

/* More than this many hits a second would leave a CPU little else to do. */
#define MOST_HITS 20000

struct tick {
	struct hrtimer timer;
	struct profile *profile;
	u64 missed;
};

struct profile {
	struct hlist_node node;
	void (*handler)(struct sw_regs *interrupted);
	ktime_t interval;
	struct tick __percpu *ticks;
};

/* One hotplug state serves all profile probes of the module. */
static int hotplug_state;
static u32 users;

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

static int start_ticks(unsigned int cpu, struct hlist_node *node)
{
	struct profile *profile = hlist_entry(node, struct profile, node);
	struct tick *tick = per_cpu_ptr(profile->ticks, cpu);

	hrtimer_start(&tick->timer, profile->interval, HRTIMER_MODE_REL_PINNED_HARD);
	return 0;
}

static int stop_ticks(unsigned int cpu, struct hlist_node *node)
{
	struct profile *profile = hlist_entry(node, struct profile, node);

	hrtimer_cancel(&per_cpu_ptr(profile->ticks, cpu)->timer);
	return 0;
}

static u64 profile_missed(const struct sw_placement *p)
{
	const struct profile *profile = p->hook;
	u64 missed = 0;
	u32 cpu;

	for_each_possible_cpu (cpu)
		missed += READ_ONCE(per_cpu_ptr(profile->ticks, cpu)->missed);
	return missed;
}

static int hotplug_get(void)
{
	int state;

	if (!users) {
		state = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "stapwatch:profile",
						start_ticks, stop_ticks);
		if (state < 0)
			return state;
		hotplug_state = state;
	}
	users++;
	return 0;
}

static void hotplug_put(void)
{
	if (!--users)
		cpuhp_remove_multi_state(hotplug_state);
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
	profile->handler = probe->handler;
	profile->interval = ns_to_ktime(NSEC_PER_SEC / clamp_t(s64, hits, 1, MOST_HITS));
	profile->ticks = alloc_percpu(struct tick);
	if (!profile->ticks) {
		sw_hook_free(profile, sizeof(*profile));
		return NULL;
	}
	sw_memory_add(num_possible_cpus() * sizeof(struct tick));
	for_each_possible_cpu (cpu) {
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
	error = hotplug_get();
	if (error)
		goto failed;
	error = cpuhp_state_add_instance(hotplug_state, &profile->node);
	if (error) {
		hotplug_put();
		goto failed;
	}
	p->hook = profile;
	return 0;

failed:
	profile_free(profile);
	return error;
}

/* Calls stop_ticks for each online CPU, which waits for its handler. */
static void profile_remove(struct sw_placement *p)
{
	struct profile *profile = p->hook;

	cpuhp_state_remove_instance(hotplug_state, &profile->node);
	p->missed += profile_missed(p);
	hotplug_put();
	profile_free(profile);
}

const struct sw_hook_ops sw_profile_hook = {
	.place = profile_place,
	.remove = profile_remove,
	.missed = profile_missed,
	.late = true,
};
