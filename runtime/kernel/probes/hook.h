/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Declarations that the files of hook kinds share: one descriptor for each kind,
 * and its helpers.
 *
 * A kind is one file here that defines a `struct sw_hook_ops`, and one row of
 * SW_HOOKS in include/stapwatch/script.h that names it.
 */
#ifndef STAPWATCH_HOOK_H
#define STAPWATCH_HOOK_H

#include "core/runtime.h"

struct sw_process_filter;

/*
 * A probe of the script and its hook. All fields are protected by hook.c's mutex,
 * but `missed`, to which a handler's own code may add while the hook is attached.
 */
struct sw_attachment {
	const struct sw_probe *probe;
	u32 index;
	bool attached;
	void *hook;			  /* the kind's own, from attach to detach */
	struct sw_process_filter *filter; /* NULL: the probe is not about processes */
	int filter_error;		  /* why there is no filter although it needs one */
	u64 missed; /* hits that were not delivered, but for those that ops->missed() returns */
};

/*
 * attach() and detach() run in a process that may sleep, under hook.c's mutex, so
 * no two run concurrently. Handlers may hit as soon as the kernel has the hook,
 * before attach() returns; those that hit before the session runs find themselves
 * disabled, and return. attach() gives up when the process has been killed.
 *
 * The module's text and the hook's memory may go only after the last handler of the
 * hook has returned, and taking a hook out is often less than that. Grace periods are
 * long, so there is one for all hooks that go together. A kind has either
 *
 * - detach(), which returns after the last handler has;
 * - detach() and release(): detach() takes the hook out. Then hook.c waits, once, for
 *   all readers that tracepoints and RCU know, and release() frees the hook;
 * - detach_many(), for kinds whose hooks the kernel itself takes out in bulk.
 */
struct sw_hook_ops {
	int (*attach)(struct sw_attachment *a);	 /* 0 or an error; NULL: nothing to attach */
	void (*detach)(struct sw_attachment *a); /* NULL: nothing to detach */
	void (*release)(struct sw_attachment *a);
	/* `room`: for `count` pointers. */
	void (*detach_many)(struct sw_attachment *const *set, u32 count, void **room);
	/* Hits that the attached hook could not deliver; NULL: it never misses one. */
	u64 (*missed)(const struct sw_attachment *a);
	/* The meaning of an error of attach(). NULL, or NULL returned: the errno is enough. */
	const char *(*explain)(int error);
	/* sw_probed_function() for a probe with several functions. */
	void (*probed_function)(struct sw_context *c, char *to, u32 size);
	/* The index of the probe whose hook counts this one's hits; NULL: its own. */
	u32 (*counted_by)(const struct sw_probe *probe);
	bool late; /* attached last, so that no tick is lost while slower hooks are attached */
};

#define SW_HOOK_OPS(word, handler, ops) extern const struct sw_hook_ops ops;
SW_HOOKS(SW_HOOK_OPS)
#undef SW_HOOK_OPS

/* The descriptor of a probe's kind. */
const struct sw_hook_ops *sw_hook_ops_of(const struct sw_probe *probe);

int sw_hooks_create(void);
void sw_hooks_destroy(void);
/*
 * Attaches all. After a failure none is attached, and status and an event report
 * which one failed.
 */
int sw_hooks_attach(void);
void sw_hooks_detach(void);
void sw_hooks_count_missed(void);

/* In attach(): detaches and releases what it has made, and clears `hook`. */
void sw_hook_undo(struct sw_attachment *a);

/* In attach(), in loops that take long: -EINTR if the process has been killed. */
int sw_hook_interrupted(void);

/* Sets the status of one of a probe's functions; an error is reported as a warning. */
void sw_hook_set_status(const struct sw_attachment *a, u32 function, const char *symbol, int error);

/* A hook's own memory, zeroed and counted. */
void *sw_hook_alloc(size_t size);
void sw_hook_free(void *hook, size_t size);

/* More hits a second than this would leave a CPU little else to do. */
#define SW_MOST_HITS 20000

/*
 * cpu_hotplug.c: for a hook that each CPU has for itself. The two functions are
 * called on that CPU, in a process that may sleep and that holds the CPU hotplug
 * lock.
 */
struct sw_cpu_hotplug {
	struct hlist_node node;
	void (*online)(struct sw_cpu_hotplug *hotplug, unsigned int cpu);
	void (*offline)(struct sw_cpu_hotplug *hotplug, unsigned int cpu);
};

/* `all`: online() and offline() are also called now, for each CPU that is online. */
int sw_cpu_hotplug_add(struct sw_cpu_hotplug *hotplug, bool all);
void sw_cpu_hotplug_remove(struct sw_cpu_hotplug *hotplug, bool all);

/* tracepoint.c: a tracepoint of the kernel proper; NULL if it has none of that name. */
struct tracepoint *sw_tracepoint_find(const char *name);

/*
 * process_filter.c: the processes that a probe is about. Paths are resolved for the
 * process that starts the session; the files stay referenced until
 * sw_process_filter_close().
 */
int sw_process_filter_open(struct sw_attachment *a);
void sw_process_filter_close(struct sw_attachment *a);
const char *sw_process_filter_explain(int error);
/* The file that is probed; NULL: the probe has none. */
struct inode *sw_process_filter_binary(const struct sw_process_filter *filter);
/* Whether processes with this memory run the filter's program. Any context. */
bool sw_process_filter_matches_mm(const struct sw_process_filter *filter, struct mm_struct *mm);
/* Any context. False for kernel threads. */
bool sw_process_filter_matches_current(const struct sw_process_filter *filter);
/* For any task; may not be called in an interrupt. */
bool sw_process_filter_matches_task(const struct sw_process_filter *filter,
				    struct task_struct *task);

/*
 * unsafe_text.c: what an attach() returns that would put a hook in code that the
 * kernel copies or patches.
 */
#define SW_UNSAFE (-EPERM)
/* 0, SW_UNSAFE or an error: of a kprobe that is registered with KPROBE_FLAG_DISABLED. */
int sw_unsafe_kprobe(const void *address, u32 flags);
/* Whether a function of this name is unsafe; MODULE:FUNCTION never is. */
bool sw_unsafe_name(const char *symbol);
const char *sw_unsafe_explain(int error);

/*
 * session_probe.c: runs the probes of a phase in their order, while the module is in
 * `state`.
 */
int sw_phases_create(void);
void sw_phases_destroy(void);
void sw_phase_run(enum sw_hook phase, u32 state);

#endif
