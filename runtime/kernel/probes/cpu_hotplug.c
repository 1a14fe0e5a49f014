// SPDX-License-Identifier: GPL-2.0-or-later
/* cpus.c - hooks that each CPU has for itself follow CPUs as they come and go. */
#include <linux/cpuhotplug.h>
#include "probes/hook.h"

/* One hotplug state serves all such hooks of the module. */
static int state;
static u32 users;

static int on_online(unsigned int cpu, struct hlist_node *node)
{
	struct sw_cpus *cpus = hlist_entry(node, struct sw_cpus, node);

	cpus->online(cpus, cpu);
	return 0;
}

static int on_offline(unsigned int cpu, struct hlist_node *node)
{
	struct sw_cpus *cpus = hlist_entry(node, struct sw_cpus, node);

	cpus->offline(cpus, cpu);
	return 0;
}

static void put_state(void)
{
	if (!--users)
		cpuhp_remove_multi_state(state);
}

int sw_cpus_follow(struct sw_cpus *cpus, bool all)
{
	int error;

	if (!users) {
		state = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "stapwatch:hooks", on_online,
						on_offline);
		if (state < 0)
			return state;
	}
	users++;
	if (all)
		error = cpuhp_state_add_instance(state, &cpus->node);
	else
		error = cpuhp_state_add_instance_nocalls(state, &cpus->node);
	if (error)
		put_state();
	return error;
}

void sw_cpus_leave(struct sw_cpus *cpus, bool all)
{
	if (all)
		cpuhp_state_remove_instance(state, &cpus->node);
	else
		cpuhp_state_remove_instance_nocalls(state, &cpus->node);
	put_state();
}
