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
 * What attach() returns if the loaded module has other types than those that the script was
 * compiled with. It returns SW_WAITS if the module is not loaded; then hook.c attaches the hook
 * when it is, or tells a hook that attach() has left all the same (follow()).
 */
#define SW_OTHER_BUILD (-ENOEXEC)

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
	/*
	 * The kernel's address that an attached hook is at. It is detached before the code there
	 * goes, with a module, and attached again with it. NULL: the kind has no such address.
	 */
	unsigned long (*address)(const struct sw_attachment *a);
	/*
	 * For hooks of several functions, in place of address(): a module has come, has been
	 * initialized or goes (MODULE_STATE_*).
	 */
	void (*follow)(struct sw_attachment *a, const struct module *module, unsigned long state);
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
/* A module has come, has been initialized or goes (MODULE_STATE_*). */
void sw_hooks_follow(const struct module *module, unsigned long state);

/* In attach(): detaches and releases what it has made, and clears `hook`. */
void sw_hook_undo(struct sw_attachment *a);

/* In attach(), in loops that take long: -EINTR if the process has been killed. */
int sw_hook_interrupted(void);

/* Reports that `symbol` could not be probed. `kind`: SW_EVENT_WARNING or SW_EVENT_ERROR. */
void sw_hook_report(const struct sw_attachment *a, const char *symbol, u32 kind, int error);

/* Sets a probe's own status, from what attach() returned or would return now. */
void sw_hook_set_result(struct sw_attachment *a, int error);

/* Sets the status of one of a probe's functions; an error is reported as a warning. */
void sw_hook_set_status(const struct sw_attachment *a, u32 function, const char *symbol, int error);

/*
 * Whether handlers run: the session has started and has not ended. Any context: all CPUs' blocks
 * say the same.
 */
static inline bool sw_is_enabled(void)
{
	const struct sw_context *c = sw_this_cpu_area();

	return !READ_ONCE(c->disabled);
}

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

/* modules.c: `symbol` is MODULE:NAME, or a name of the kernel proper. */
/* The length of MODULE; 0: none. */
u32 sw_module_length(const char *symbol);
bool sw_module_has(const struct module *module, const char *symbol);
/* The loaded module, referenced; NULL if it is not loaded. */
const struct module *sw_module_get(const char *symbol);
void sw_module_put(const struct module *module);
/* 0, SW_WAITS or SW_OTHER_BUILD. */
int sw_module_state(const char *symbol);
/* 0 or SW_OTHER_BUILD, for the module of that name, which is loaded. */
int sw_module_check(const char *name);
/* Visits the functions of a module. Visitors may not sleep. */
typedef void sw_module_visitor(void *data, const char *name, unsigned long address);
void sw_module_functions(const struct module *module, sw_module_visitor *visit, void *data);
/* Has sw_hooks_follow() called, until sw_modules_unfollow() returns. */
int sw_modules_follow(void);
void sw_modules_unfollow(void);

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
/*
 * 0 or SW_UNSAFE, before a kprobe is registered: of a module's function that ftrace does not reach,
 * and of any function by its name.
 */
int sw_unsafe_end(const struct module *module, unsigned long address);
int sw_unsafe_function(const char *symbol, u64 offset);
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
