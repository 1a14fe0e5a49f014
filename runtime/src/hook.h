/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook.h - one descriptor for each family of probes: how to place a hook and how to take it out. */
#ifndef STAPWATCH_HOOK_H
#define STAPWATCH_HOOK_H

#include "runtime.h"

/* A probe of the script and its hook. */
struct sw_placement {
	const struct sw_probe *probe;
	u32 index;
	bool placed;
	void *hook; /* the family's own */
	u64 missed; /* hits that could not be delivered, of hooks since removed */
};

/*
 * `place` and `remove` run in a process that may sleep, gates closed. After `remove` no handler of
 * this placement runs on any CPU, and none will: the module's text may go.
 */
struct sw_hook_ops {
	int (*place)(struct sw_placement *p);
	void (*remove)(struct sw_placement *p);
	u64 (*missed)(const struct sw_placement *p); /* of the hook in place; NULL: never misses */
	const char *(*refusal)(int error); /* what an error of `place` means, NULL: nothing more */
	bool late; /* placed last, so that no tick is lost while slower hooks are placed */
};

extern const struct sw_hook_ops sw_phase_hook;
extern const struct sw_hook_ops sw_timer_hook;
extern const struct sw_hook_ops sw_jiffies_hook;
extern const struct sw_hook_ops sw_profile_hook;
extern const struct sw_hook_ops sw_function_hook;
extern const struct sw_hook_ops sw_kprobe_hook;
extern const struct sw_hook_ops sw_kretprobe_hook;
extern const struct sw_hook_ops sw_tracepoint_hook;
extern const struct sw_hook_ops sw_procfs_hook;
extern const struct sw_hook_ops sw_netfilter_hook;
extern const struct sw_hook_ops sw_watchpoint_hook;
extern const struct sw_hook_ops sw_perf_hook;

int sw_hooks_create(void);
void sw_hooks_destroy(void);
/* Places all; on a failure none is left in place, and status and an event tell which one failed. */
int sw_hooks_place(void);
void sw_hooks_remove(void);
void sw_hooks_count_missed(void);

/* The status of one of a probe's functions; `error`: that it could not be hooked. */
void sw_hook_tell(const struct sw_placement *p, u32 function, const char *symbol, int error);

/* A hook's own memory, zeroed and counted. */
void *sw_hook_alloc(size_t size);
void sw_hook_free(void *hook, size_t size);

/* More hits a second than this would leave a CPU little else to do. */
#define SW_MOST_HITS 20000

/* cpus.c: for a hook that each CPU has for itself. The two are called on that CPU, in a process
 * that may sleep and that holds the lock of CPUs. */
struct sw_cpus {
	struct hlist_node node;
	void (*online)(struct sw_cpus *cpus, unsigned int cpu);
	void (*offline)(struct sw_cpus *cpus, unsigned int cpu);
};

/* `all`: they are also called now, for the CPUs that are online. */
int sw_cpus_follow(struct sw_cpus *cpus, bool all);
void sw_cpus_leave(struct sw_cpus *cpus, bool all);

/* phase.c: runs the probes of a phase in order of their number, while `state` lasts. */
int sw_phases_create(void);
void sw_phases_destroy(void);
void sw_phase_run(enum sw_hook phase, u32 state);

/* `number` +- `randomize`, never below `least`. */
s64 sw_timer_interval(const struct sw_probe *probe, s64 least);

#endif
