// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes and threads that begin and end, and their system calls. Handlers run in
 * the process that they are about, and get its user registers.
 *
 *   begin         the first thing that a new process does (schedule_tail), and every exec
 *   thread.begin  the first thing that a thread does, but for a process's first one
 *   end           its last thread exits, with its memory still there (taskstats_exit)
 *   thread.end    a thread exits, but for the first one
 *
 * Pre-existing processes and threads are reported when they next leave a CPU: that
 * is the first moment at which a handler can run in them. They are noted when the
 * probe is attached, with room for all. Children of the process that starts the
 * session are left out: a command that waits for its start is reported by its exec.
 */
#include <linux/hash.h>
#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/tracepoint.h>
#include "probes/hook.h"

#define PROCESS_MOST_TRACEPOINTS 2
#define PROCESS_MOST_FUNCTIONS	 2
#define PROCESS_SLACK		 64 /* tasks that may come while they are counted */

/* A pre-existing task. */
struct process_task {
	pid_t tid; /* 0: an empty slot */
	bool reported;
	u64 started; /* ids are used again: with the start time one is unique */
};

/*
 * The kernel's hooks for an event: tracepoints, and a kprobe on the first
 * function that exists.
 */
struct process_event {
	struct {
		const char *name;
		void (*callback)(void *data);
	} tracepoints[PROCESS_MOST_TRACEPOINTS];
	const char *functions[PROCESS_MOST_FUNCTIONS];
	kprobe_pre_handler_t handler;
	bool reports_existing; /* tasks; `threads`: those but a process's first one */
	bool threads;
};

struct process_hook {
	struct sw_attachment *attachment;
	const struct process_event *event;
	struct tracepoint *tracepoints[PROCESS_MOST_TRACEPOINTS]; /* registered ones */
	struct kprobe probe;
	bool probed;		       /* `probe` is registered */
	struct process_task *existing; /* a hash table; its size is a power of two */
	u32 size;
	atomic_t unreported; /* tasks in the table */
};

static void process_hit(const struct process_hook *p)
{
	sw_regs_handler *handler = p->attachment->probe->handler;

	handler((struct sw_regs *)task_pt_regs(current));
}

static bool process_matches(const struct process_hook *p)
{
	return sw_process_filter_matches_current(p->attachment->filter);
}

static void process_hit_if_matching(const struct process_hook *p)
{
	if (process_matches(p))
		process_hit(p);
}

static bool process_is_thread(const struct task_struct *task)
{
	return task->pid != task->tgid;
}

/* ---------------------------------------------------------------- pre-existing tasks */

/* The task's slot, or the empty one that ends the search: the table is never full. */
static struct process_task *process_slot(const struct process_hook *p, pid_t tid)
{
	u32 i = hash_32((u32)tid, 32);

	for (;; i++) {
		struct process_task *t = &p->existing[i & (p->size - 1)];

		if (!t->tid || t->tid == tid)
			return t;
	}
}

/*
 * Whether the current task is pre-existing and has yet to be reported; from now on
 * it counts as reported. Slots are filled before the callbacks are registered, and
 * only the task itself looks at its slot afterwards, with preemption off: so the
 * flag needs no lock.
 */
static bool process_take_current(struct process_hook *p)
{
	struct process_task *t;

	if (!atomic_read(&p->unreported))
		return false;
	t = process_slot(p, current->pid);
	if (!t->tid || t->reported || t->started != current->start_time)
		return false;
	t->reported = true;
	atomic_dec(&p->unreported);
	return true;
}

/*
 * A task leaves this CPU, preemption off. It does not count as reported while handlers are
 * disabled. One that exits has no memory any more, but
 * matched when noted.
 */
static void process_on_switch(void *data)
{
	struct process_hook *p = data;

	if (!atomic_read(&p->unreported) || !sw_is_enabled())
		return;
	if (process_take_current(p) && (!current->mm || process_matches(p)))
		process_hit(p);
}

/* Under rcu_read_lock(). */
static bool process_is_existing(const struct process_hook *p, struct task_struct *task)
{
	if (process_is_thread(task) != p->event->threads || task == current)
		return false;
	if (rcu_dereference(task->real_parent)->tgid == current->tgid)
		return false;
	return sw_process_filter_matches_task(p->attachment->filter, task);
}

static u32 process_count_existing(const struct process_hook *p)
{
	struct task_struct *process, *task;
	u32 count = 0;

	rcu_read_lock();
	for_each_process_thread(process, task)
		count += process_is_existing(p, task);
	rcu_read_unlock();
	return count;
}

/*
 * Tasks come and go between counting and noting: the table has room for some more,
 * and half of it stays empty, so a search always ends. A task beyond that is not
 * reported.
 */
static int process_note_existing(struct process_hook *p)
{
	u32 room = process_count_existing(p) + PROCESS_SLACK, noted = 0;
	struct task_struct *process, *task;

	p->size = roundup_pow_of_two(2 * room);
	p->existing = kvcalloc(p->size, sizeof(*p->existing), SW_GFP);
	if (!p->existing)
		return -ENOMEM;
	sw_memory_add(p->size * sizeof(*p->existing));
	rcu_read_lock();
	for_each_process_thread(process, task) {
		struct process_task *t;

		if (noted == room || !process_is_existing(p, task))
			continue;
		t = process_slot(p, task->pid);
		noted += !t->tid;
		*t = (struct process_task){ .tid = task->pid, .started = task->start_time };
	}
	rcu_read_unlock();
	atomic_set(&p->unreported, noted);
	return 0;
}

/* ---------------------------------------------------------------- events */

static struct process_hook *process_hook_of(struct kprobe *probe)
{
	return container_of(probe, struct process_hook, probe);
}

/* Its exec reports a pre-existing process, which then is not reported again. */
static void process_on_exec(void *data)
{
	struct process_hook *p = data;

	process_take_current(p);
	process_hit_if_matching(p);
}

static int process_on_new_process(struct kprobe *probe, struct pt_regs *regs)
{
	if (!process_is_thread(current))
		process_hit_if_matching(process_hook_of(probe));
	return 0;
}

static int process_on_new_thread(struct kprobe *probe, struct pt_regs *regs)
{
	if (process_is_thread(current))
		process_hit_if_matching(process_hook_of(probe));
	return 0;
}

/* (struct task_struct *, int is_the_last_thread) */
static int process_on_last_exit(struct kprobe *probe, struct pt_regs *regs)
{
	if ((int)SW_ARG1(regs))
		process_hit_if_matching(process_hook_of(probe));
	return 0;
}

static int process_on_thread_exit(struct kprobe *probe, struct pt_regs *regs)
{
	if (process_is_thread(current))
		process_hit_if_matching(process_hook_of(probe));
	return 0;
}

static void process_on_syscall(void *data)
{
	process_hit_if_matching(data);
}

/*
 * Both functions for exits get the same arguments, and are called before the memory
 * is given up.
 */
static const struct process_event process_events[] = {
	[SW_PROCESS_BEGIN] = {
		.tracepoints = { { "sched_process_exec", process_on_exec },
				 { "sched_switch", process_on_switch } },
		.functions = { "schedule_tail" },
		.handler = process_on_new_process,
		.reports_existing = true,
	},
	[SW_PROCESS_END] = {
		.functions = { "taskstats_exit", "acct_collect" },
		.handler = process_on_last_exit,
	},
	[SW_PROCESS_THREAD_BEGIN] = {
		.tracepoints = { { "sched_switch", process_on_switch } },
		.functions = { "schedule_tail" },
		.handler = process_on_new_thread,
		.reports_existing = true,
		.threads = true,
	},
	[SW_PROCESS_THREAD_END] = {
		.functions = { "taskstats_exit", "acct_collect" },
		.handler = process_on_thread_exit,
	},
	[SW_PROCESS_SYSCALL] = {
		.tracepoints = { { "sys_enter", process_on_syscall } },
	},
	[SW_PROCESS_SYSCALL_RETURN] = {
		.tracepoints = { { "sys_exit", process_on_syscall } },
	},
};

static int process_attach_tracepoints(struct process_hook *p)
{
	const struct process_event *event = p->event;
	u32 i;

	for (i = 0; i < PROCESS_MOST_TRACEPOINTS && event->tracepoints[i].name; i++) {
		struct tracepoint *point = sw_tracepoint_find(event->tracepoints[i].name);
		int error = -ENOENT;

		if (point)
			error = tracepoint_probe_register(point, event->tracepoints[i].callback, p);
		if (error)
			return error;
		p->tracepoints[i] = point;
	}
	return 0;
}

static int process_attach_kprobe(struct process_hook *p)
{
	const struct process_event *event = p->event;
	int error = 0;
	u32 i;

	for (i = 0; i < PROCESS_MOST_FUNCTIONS && event->functions[i]; i++) {
		p->probe = (struct kprobe){ .symbol_name = event->functions[i],
					    .pre_handler = event->handler };
		error = register_kprobe(&p->probe);
		if (!error)
			break;
	}
	p->probed = event->handler && !error;
	return error == -ENOENT ? -EOPNOTSUPP : error;
}

static const char *process_hook_explain(int error)
{
	if (error == -EOPNOTSUPP)
		return "this kernel has neither taskstats_exit nor acct_collect (CONFIG_TASKSTATS)";
	return sw_process_filter_explain(error);
}

static void process_free(struct process_hook *p)
{
	if (p->existing)
		sw_memory_add(-(s64)(p->size * sizeof(*p->existing)));
	kvfree(p->existing);
	sw_hook_free(p, sizeof(*p));
}

/*
 * Also detaches what a failed attach has left. unregister_kprobe() waits for its
 * handlers; hook.c waits for those of tracepoints.
 */
static void process_hook_detach(struct sw_attachment *a)
{
	struct process_hook *p = a->hook;
	u32 i;

	if (p->probed) {
		unregister_kprobe(&p->probe);
		a->missed += p->probe.nmissed;
	}
	for (i = 0; i < PROCESS_MOST_TRACEPOINTS; i++)
		if (p->tracepoints[i])
			tracepoint_probe_unregister(p->tracepoints[i],
						    p->event->tracepoints[i].callback, p);
}

static void process_hook_release(struct sw_attachment *a)
{
	process_free(a->hook);
}

/*
 * Pre-existing tasks are noted before the first callback is registered: callbacks
 * read the table without a lock, so it must be complete. A task that begins behind
 * that hits while handlers are disabled.
 */
static int process_hook_attach(struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	struct process_hook *p;
	int error = 0;

	if ((u32)probe->process.event >= ARRAY_SIZE(process_events) || !probe->processes)
		return -ENOEXEC;
	p = sw_hook_alloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	a->hook = p;
	p->attachment = a;
	p->event = &process_events[probe->process.event];
	if (p->event->reports_existing)
		error = process_note_existing(p);
	if (!error)
		error = process_attach_tracepoints(p);
	if (!error)
		error = process_attach_kprobe(p);
	if (error)
		sw_hook_undo(a);
	return error;
}

static u64 process_hook_missed(const struct sw_attachment *a)
{
	const struct process_hook *p = a->hook;

	return p->probed ? READ_ONCE(p->probe.nmissed) : 0;
}

const struct sw_hook_ops sw_process_ops = {
	.attach = process_hook_attach,
	.detach = process_hook_detach,
	.release = process_hook_release,
	.missed = process_hook_missed,
	.explain = process_hook_explain,
};
