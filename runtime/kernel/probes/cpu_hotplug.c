// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hooks that each CPU has for itself follow CPUs that come and go.
 *
 * One hotplug state serves all such hooks of the module. It exists while there are
 * users; hook.c's mutex protects the two variables.
 */
#include <linux/cpuhotplug.h>
#include "probes/hook.h"

static int cpu_hotplug_state;
static u32 cpu_hotplug_users;

static int cpu_hotplug_online(unsigned int cpu, struct hlist_node *node)
{
	struct sw_cpu_hotplug *hotplug = hlist_entry(node, struct sw_cpu_hotplug, node);

	hotplug->online(hotplug, cpu);
	return 0;
}

static int cpu_hotplug_offline(unsigned int cpu, struct hlist_node *node)
{
	struct sw_cpu_hotplug *hotplug = hlist_entry(node, struct sw_cpu_hotplug, node);

	hotplug->offline(hotplug, cpu);
	return 0;
}

static void cpu_hotplug_put_state(void)
{
	if (!--cpu_hotplug_users)
		cpuhp_remove_multi_state(cpu_hotplug_state);
}

/*
 * The kernel calls online() for the CPUs that are there and adds the instance under
 * one lock, so each CPU gets exactly one call, however CPUs come and go meanwhile.
 */
int sw_cpu_hotplug_add(struct sw_cpu_hotplug *hotplug, bool all)
{
	int error;

	if (!cpu_hotplug_users) {
		cpu_hotplug_state =
			cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "stapwatch:hooks",
						cpu_hotplug_online, cpu_hotplug_offline);
		if (cpu_hotplug_state < 0)
			return cpu_hotplug_state;
	}
	cpu_hotplug_users++;
	if (all)
		error = cpuhp_state_add_instance(cpu_hotplug_state, &hotplug->node);
	else
		error = cpuhp_state_add_instance_nocalls(cpu_hotplug_state, &hotplug->node);
	if (error)
		cpu_hotplug_put_state();
	return error;
}

/* When it returns, neither function runs, and none will. */
void sw_cpu_hotplug_remove(struct sw_cpu_hotplug *hotplug, bool all)
{
	if (all)
		cpuhp_state_remove_instance(cpu_hotplug_state, &hotplug->node);
	else
		cpuhp_state_remove_instance_nocalls(cpu_hotplug_state, &hotplug->node);
	cpu_hotplug_put_state();
}
