/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook.h - one descriptor for each family of probes: how to place a hook and how to take it out. */
#ifndef STAPWATCH_HOOK_H
#define STAPWATCH_HOOK_H

#include "core/runtime.h"

struct sw_subject;

/* A probe of the script and its hook. */
struct sw_placement {
	const struct sw_probe *probe;
	u32 index;
	bool placed;
	void *hook; /* the family's own */
	struct sw_subject
		*subject; /* the processes that the probe is about; NULL: not its business */
	int unready;	  /* why the subject could not be found */
	u64 missed;	  /* hits that could not be delivered, of hooks since removed */
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
	bool has_subject;
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
extern const struct sw_hook_ops sw_process_hook;
extern const struct sw_hook_ops sw_uprobe_hook;

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

/* tracepoint.c: one of the kernel proper; NULL: there is none. */
struct tracepoint *sw_tracepoint_find(const char *name);

/*
 * subject.c: which processes a probe is about. Paths mean what they mean to the process that starts
 * the script; the files stay held until sw_subject_forget().
 */
int sw_subject_find(struct sw_placement *p);
void sw_subject_forget(struct sw_placement *p);
const char *sw_subject_refusal(int error);
/* The probe's binary; NULL: it has none. */
struct inode *sw_subject_binary(const struct sw_subject *subject);
/* Whether the program is the one of these processes; any context. */
bool sw_subject_runs(const struct sw_subject *subject, struct mm_struct *mm);
/* Any context. False for the kernel's own threads. */
bool sw_subject_is_current(const struct sw_subject *subject);
/* Of another task; a process may ask. */
bool sw_subject_is(const struct sw_subject *subject, struct task_struct *task);

/* phase.c: runs the probes of a phase in order of their number, while `state` lasts. */
int sw_phases_create(void);
void sw_phases_destroy(void);
void sw_phase_run(enum sw_hook phase, u32 state);

/* `number` +- `randomize`, never below `least`. */
s64 sw_timer_interval(const struct sw_probe *probe, s64 least);

#endif
