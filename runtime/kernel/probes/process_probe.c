// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * process.c - processes and threads that come and go, and their system calls. Handlers run in the
 * process that they are about, and get its user registers.
 *
 *   begin         the first thing that a new process does (schedule_tail), and every exec
 *   thread.begin  the first thing that a thread does, but for a process's first one
 *   end           its last thread is going, with its memory still there (taskstats_exit)
 *   thread.end    a thread is going, but for the first one
 *
 * Processes and threads that are there when the probe is placed are told of when they next leave a
 * CPU: that is the first moment at which a handler can run in them. Which ones these are is noted
 * when the probe is placed, with room for all. Children of the process that starts the script are
 * left out: a command that waits for its start is told of by its exec.
 */
#include <linux/hash.h>
#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/tracepoint.h>
#include "probes/hook.h"

#define MOST_POINTS 2
#define SLACK	    64 /* tasks that may come while they are counted */

/* A task that was there before the probe. */
struct earlier {
	pid_t tid; /* 0: none */
	bool told;
	u64 started;
};

struct process {
	struct sw_placement *placement;
	const struct way *way;
	struct tracepoint *points[MOST_POINTS]; /* that we are on */
	struct kprobe probe;			/* of a function of the kernel's, if we need one */
	bool probed;
	struct earlier *earlier; /* a hash table; its size is a power of two */
	u32 size;
	atomic_t left; /* not told of yet */
};

static void hit(const struct process *x)
{
	void (*handler)(struct pt_regs * regs) = x->placement->probe->handler;

	handler(task_pt_regs(current));
}

static bool is_mine(const struct process *x)
{
	return sw_subject_is_current(x->placement->subject);
}

/* ---------------------------------------------------------------- those that were there before */

static struct earlier *slot_of(const struct process *x, pid_t tid)
{
	u32 i = hash_32((u32)tid, 32);

	for (;; i++) {
		struct earlier *e = &x->earlier[i & (x->size - 1)];

		if (!e->tid || e->tid == tid)
			return e;
	}
}

/* The current task, if it has yet to be told of; it is no more afterwards. Only the task itself
 * looks at its slot. */
static bool take_current(struct process *x)
{
	struct earlier *e;

	if (!atomic_read(&x->left))
		return false;
	e = slot_of(x, current->pid);
	if (!e->tid || e->told || e->started != current->start_time)
		return false;
	e->told = true;
	atomic_dec(&x->left);
	return true;
}

/* The module has not started, or has ended: nobody would be told. Preemption is off. */
static bool is_closed(void)
{
	const struct sw_context *c = sw_this_cpu_area();

	return c->disabled;
}

/* A task leaves this CPU, preemption off. One that is dying has no memory any more, but was ours.
 */
static void on_switch(void *data)
{
	struct process *x = data;

	if (!atomic_read(&x->left) || is_closed())
		return;
	if (take_current(x) && (!current->mm || is_mine(x)))
		hit(x);
}

static bool is_thread(const struct task_struct *task)
{
	return task->pid != task->tgid;
}

static bool was_there(const struct process *x, struct task_struct *task, bool threads)
{
	if (is_thread(task) != threads || task == current)
		return false;
	if (rcu_dereference(task->real_parent)->tgid == current->tgid)
		return false;
	return sw_subject_is(x->placement->subject, task);
}

static int note_earlier(struct process *x, bool threads)
{
	struct task_struct *process, *task;
	u32 count = 0, room;

	rcu_read_lock();
	for_each_process_thread(process, task)
		count += was_there(x, task, threads);
	rcu_read_unlock();
	room = count + SLACK;
	x->size = roundup_pow_of_two(2 * room);
	x->earlier = kvcalloc(x->size, sizeof(*x->earlier), GFP_KERNEL);
	if (!x->earlier)
		return -ENOMEM;
	sw_memory_add(x->size * sizeof(*x->earlier));
	rcu_read_lock();
	for_each_process_thread(process, task) {
		struct earlier *e;

		if (!room || !was_there(x, task, threads))
			continue;
		e = slot_of(x, task->pid);
		if (!e->tid)
			room--;
		*e = (struct earlier){ .tid = task->pid, .started = task->start_time };
	}
	rcu_read_unlock();
	atomic_set(&x->left, count + SLACK - room);
	return 0;
}

/* ---------------------------------------------------------------- hooks */

static struct process *of_probe(struct kprobe *probe)
{
	return container_of(probe, struct process, probe);
}

static void on_exec(void *data)
{
	struct process *x = data;

	take_current(x);
	if (is_mine(x))
		hit(x);
}

static int on_new_process(struct kprobe *probe, struct pt_regs *regs)
{
	if (!is_thread(current) && is_mine(of_probe(probe)))
		hit(of_probe(probe));
	return 0;
}

static int on_new_thread(struct kprobe *probe, struct pt_regs *regs)
{
	if (is_thread(current) && is_mine(of_probe(probe)))
		hit(of_probe(probe));
	return 0;
}

/* (struct task_struct *, int is_the_last_thread) */
static int on_last_exit(struct kprobe *probe, struct pt_regs *regs)
{
	if ((int)SW_ARG1(regs) && is_mine(of_probe(probe)))
		hit(of_probe(probe));
	return 0;
}

static int on_thread_exit(struct kprobe *probe, struct pt_regs *regs)
{
	if (is_thread(current) && is_mine(of_probe(probe)))
		hit(of_probe(probe));
	return 0;
}

static void on_syscall(void *data)
{
	if (is_mine(data))
		hit(data);
}

struct way {
	struct {
		const char *name;
		void (*callback)(void *data);
	} points[MOST_POINTS];
	const char *functions[2]; /* of the kernel's; the first that there is */
	kprobe_pre_handler_t handler;
	bool earlier, threads; /* tells of those that were there before */
};

/* Both functions for ends get the same arguments, and are called before the memory is given up. */
static const struct way ways[] = {
	[SW_PROCESS_BEGIN] = { .points = { { "sched_process_exec", on_exec },
					   { "sched_switch", on_switch } },
			       .functions = { "schedule_tail" },
			       .handler = on_new_process,
			       .earlier = true },
	[SW_PROCESS_END] = { .functions = { "taskstats_exit", "acct_collect" },
			     .handler = on_last_exit },
	[SW_PROCESS_THREAD_BEGIN] = { .points = { { "sched_switch", on_switch } },
				      .functions = { "schedule_tail" },
				      .handler = on_new_thread,
				      .earlier = true,
				      .threads = true },
	[SW_PROCESS_THREAD_END] = { .functions = { "taskstats_exit", "acct_collect" },
				    .handler = on_thread_exit },
	[SW_PROCESS_SYSCALL] = { .points = { { "sys_enter", on_syscall } } },
	[SW_PROCESS_SYSCALL_RETURN] = { .points = { { "sys_exit", on_syscall } } },
};

static int place_points(struct process *x)
{
	u32 i;

	for (i = 0; i < MOST_POINTS && x->way->points[i].name; i++) {
		struct tracepoint *point = sw_tracepoint_find(x->way->points[i].name);
		int error = -ENOENT;

		if (point)
			error = tracepoint_probe_register(point, x->way->points[i].callback, x);
		if (error)
			return error;
		x->points[i] = point;
	}
	return 0;
}

static int place_probe(struct process *x)
{
	int error = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(x->way->functions) && x->way->functions[i]; i++) {
		x->probe = (struct kprobe){ .symbol_name = x->way->functions[i],
					    .pre_handler = x->way->handler };
		error = register_kprobe(&x->probe);
		if (!error)
			break;
	}
	x->probed = x->way->handler && !error;
	return error;
}

static void process_free(struct process *x)
{
	if (x->earlier)
		sw_memory_add(-(s64)(x->size * sizeof(*x->earlier)));
	kvfree(x->earlier);
	sw_hook_free(x, sizeof(*x));
}

/* What was placed of it. */
static void process_remove(struct sw_placement *p)
{
	struct process *x = p->hook;
	u32 i;

	if (x->probed) {
		unregister_kprobe(&x->probe);
		p->missed += x->probe.nmissed;
	}
	for (i = 0; i < MOST_POINTS; i++)
		if (x->points[i])
			tracepoint_probe_unregister(x->points[i], x->way->points[i].callback, x);
	tracepoint_synchronize_unregister();
	process_free(x);
}

static int process_place(struct sw_placement *p)
{
	struct process *x;
	int error = 0;

	if (p->probe->offset < 0 || p->probe->offset >= ARRAY_SIZE(ways))
		return -ENOEXEC;
	x = sw_hook_alloc(sizeof(*x));
	if (!x)
		return -ENOMEM;
	p->hook = x;
	x->placement = p;
	x->way = &ways[p->probe->offset];
	if (x->way->earlier)
		error = note_earlier(x, x->way->threads);
	if (!error)
		error = place_points(x);
	if (!error)
		error = place_probe(x);
	if (error) {
		process_remove(p);
		p->hook = NULL;
	}
	return error;
}

static u64 process_missed(const struct sw_placement *p)
{
	const struct process *x = p->hook;

	return x->probed ? READ_ONCE(x->probe.nmissed) : 0;
}

const struct sw_hook_ops sw_process_hook = {
	.place = process_place,
	.remove = process_remove,
	.missed = process_missed,
	.refusal = sw_subject_refusal,
	.has_subject = true,
};
