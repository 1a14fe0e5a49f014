// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text offsets of programs: a breakpoint in every process that has the file mapped,
 * or will.
 *
 * All functions of a wildcard with the same handler are one hook. For each offset
 * the kernel walks the processes that map the file, so a thousand offsets take some
 * time. Handlers run in the process that was hit. What a return's handler needs of the
 * call's entry is in a table of the hook's own: the kernel keeps a word for each return
 * since 6.13 only.
 */
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/uprobes.h>
#include "probes/hook.h"
#include "probes/saved_calls.h"

/*
 * Calls whose values are kept at once, of all functions of a hook; others are missed, and
 * counted.
 */
#define UPROBE_RETURNS	    2048
#define UPROBE_MOST_RETURNS (1 << 20)

/* One offset. */
struct uprobe_point {
	struct uprobe_consumer consumer;
	struct uprobe_hook *owner;
	struct uprobe *uprobe; /* where the kernel returns a handle */
	const struct sw_function *function;
	bool registered;
};

struct uprobe_hook {
	const struct sw_attachment *attachment;
	atomic64_t missed; /* returns that the kernel will not report, or without saved values */
	struct sw_saved_calls saved; /* without a handler at the entry: unused */
	struct inode *inode;	     /* referenced by the attachment's filter */
	struct sw_function only;     /* the point's function if the probe names one function */
	u32 nr_points;
	struct uprobe_point points[];
};

static void uprobe_hit(struct uprobe_consumer *consumer, struct pt_regs *regs)
{
	const struct uprobe_point *point = container_of(consumer, struct uprobe_point, consumer);
	const struct uprobe_hook *u = point->owner;
	sw_uprobe_handler *handler = u->attachment->probe->handler;

	if (sw_process_filter_matches_current(u->attachment->filter))
		handler(point - u->points, (struct sw_regs *)regs);
}

static int uprobe_entered(struct uprobe_consumer *consumer, struct pt_regs *regs SW_UPROBE_DATA)
{
	uprobe_hit(consumer, regs);
	return 0;
}

/*
 * A program's function is called, and its return is probed. The kernel keeps a limited number of
 * pending returns for each thread, and forgets others without a trace: it decides that when the
 * handlers of the entry have run, by the same number.
 */
static bool uprobe_return_is_lost(void)
{
	const struct uprobe_task *pending = current->utask;

	return unlikely(pending && pending->depth >= MAX_URETPROBE_DEPTH);
}

static int uprobe_called(struct uprobe_consumer *consumer, struct pt_regs *regs SW_UPROBE_DATA)
{
	const struct uprobe_point *point = container_of(consumer, struct uprobe_point, consumer);

	if (uprobe_return_is_lost() && sw_is_enabled() &&
	    sw_process_filter_matches_current(point->owner->attachment->filter))
		atomic64_inc(&point->owner->missed);
	return 0;
}

static int uprobe_returned(struct uprobe_consumer *consumer, unsigned long function,
			   struct pt_regs *regs SW_UPROBE_DATA)
{
	uprobe_hit(consumer, regs);
	return 0;
}

static int uprobe_called_saving(struct uprobe_consumer *consumer,
				struct pt_regs *regs SW_UPROBE_DATA)
{
	struct uprobe_point *point = container_of(consumer, struct uprobe_point, consumer);
	struct uprobe_hook *u = point->owner;
	const struct sw_probe *probe = u->attachment->probe;
	unsigned long stack = SW_REGS_SP(regs) + SW_CALL_PUSHES;
	struct sw_saved_call *call;

	if (!sw_process_filter_matches_current(u->attachment->filter))
		return 0;
	if (uprobe_return_is_lost()) {
		if (sw_is_enabled())
			atomic64_inc(&u->missed);
		return 0;
	}
	call = sw_saved_begin(&u->saved, (u64)current, (u64)point, stack);
	if (!call)
		return 0;
	if (probe->uprobe.entry(point - u->points, (struct sw_regs *)regs,
				sw_saved_data(&u->saved, call)))
		sw_saved_free(call);
	else
		sw_saved_keep(&u->saved, call, (u64)current, (u64)point, stack);
	return 0;
}

/*
 * A return without saved values was called before the session began, has lost them to other
 * calls, or is that of a child: fork() copies pending returns.
 */
static int uprobe_returned_saved(struct uprobe_consumer *consumer, unsigned long function,
				 struct pt_regs *regs SW_UPROBE_DATA)
{
	struct uprobe_point *point = container_of(consumer, struct uprobe_point, consumer);
	struct uprobe_hook *u = point->owner;
	sw_uretprobe_handler *handler = u->attachment->probe->handler;
	struct sw_saved_call *call;

	if (!sw_process_filter_matches_current(u->attachment->filter))
		return 0;
	call = sw_saved_take(&u->saved, (u64)current, (u64)point, SW_REGS_SP(regs));
	if (call) {
		handler(point - u->points, (struct sw_regs *)regs, sw_saved_data(&u->saved, call));
		sw_saved_free(call);
	} else if (sw_is_enabled()) {
		atomic64_inc(&u->missed);
	}
	return 0;
}

/* A library's functions get a breakpoint in the probe's program only. */
static bool uprobe_filter(struct uprobe_consumer *consumer,
			  SW_UPROBE_FILTER_CTX struct mm_struct *mm)
{
	const struct uprobe_point *point = container_of(consumer, struct uprobe_point, consumer);

	return sw_process_filter_matches_mm(point->owner->attachment->filter, mm);
}

static size_t uprobe_hook_size(const struct uprobe_hook *u)
{
	u64 calls = u->saved.calls ? (u64)u->saved.mask + 1 : 0;

	return struct_size(u, points, u->nr_points) +
	       calls * (sizeof(*u->saved.calls) + u->saved.data_size);
}

static void uprobe_hook_free(struct uprobe_hook *u)
{
	sw_memory_add(-(s64)uprobe_hook_size(u));
	kvfree(u->saved.calls);
	kvfree(u->saved.data);
	kvfree(u);
}

static void uprobe_point_init(struct uprobe_hook *u, u32 index)
{
	const struct sw_probe *probe = u->attachment->probe;
	struct uprobe_point *point = &u->points[index];

	point->owner = u;
	point->function = probe->nr_functions ? &probe->functions[index] : &u->only;
	if (probe->hook == SW_URETPROBE && probe->uprobe.entry) {
		point->consumer.handler = uprobe_called_saving;
		point->consumer.ret_handler = uprobe_returned_saved;
	} else if (probe->hook == SW_URETPROBE) {
		point->consumer.handler = uprobe_called;
		point->consumer.ret_handler = uprobe_returned;
	} else {
		point->consumer.handler = uprobe_entered;
	}
	if (probe->processes->program)
		point->consumer.filter = uprobe_filter;
}

/* Room for the values of calls in progress. */
static int uprobe_saved_alloc(struct uprobe_hook *u)
{
	const struct sw_probe *probe = u->attachment->probe;
	s64 active = probe->uprobe.maxactive > 0 ? probe->uprobe.maxactive : UPROBE_RETURNS;
	u64 calls = roundup_pow_of_two(clamp_t(s64, active, SAVED_NEAR, UPROBE_MOST_RETURNS));

	u->saved.data_size = probe->uprobe.data_size;
	u->saved.mask = calls - 1;
	u->saved.calls = kvcalloc(calls, sizeof(*u->saved.calls), SW_GFP);
	u->saved.data = kvcalloc(calls, u->saved.data_size, SW_GFP);
	if (u->saved.calls && u->saved.data)
		return 0;
	kvfree(u->saved.calls);
	kvfree(u->saved.data);
	return -ENOMEM;
}

static struct uprobe_hook *uprobe_hook_alloc(const struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	u32 count = probe->nr_functions ?: 1, i;
	struct uprobe_hook *u = kvzalloc(struct_size(u, points, count), SW_GFP);

	if (!u)
		return NULL;
	u->attachment = a;
	u->nr_points = count;
	if (probe->hook == SW_URETPROBE && probe->uprobe.entry && uprobe_saved_alloc(u)) {
		kvfree(u);
		return NULL;
	}
	u->inode = sw_process_filter_binary(a->filter);
	u->only.symbol = probe->symbol;
	u->only.offset = probe->uprobe.offset;
	for (i = 0; i < count; i++)
		uprobe_point_init(u, i);
	sw_memory_add(uprobe_hook_size(u));
	return u;
}

static void uprobe_unregister_points(struct uprobe_hook *u)
{
	u32 i;

	for (i = 0; i < u->nr_points; i++) {
		struct uprobe_point *point = &u->points[i];

		if (point->registered)
			sw_uprobe_unregister(point->uprobe, u->inode, point->function->offset,
					     &point->consumer);
		cond_resched();
	}
}

static u64 uprobe_hook_missed(const struct sw_attachment *a)
{
	const struct uprobe_hook *u = a->hook;

	return atomic64_read(&u->missed);
}

/*
 * Also detaches what a failed attach has left. Where the kernel can, all points are
 * unregistered before the one wait for their handlers (sw_uprobe_wait); elsewhere
 * each unregistering waits. Until then handlers read the hooks, and filters, which
 * hook.c closes later still.
 */
static void uprobe_hook_detach_many(struct sw_attachment *const *set, u32 count, void **room)
{
	u32 i;

	for (i = 0; i < count; i++)
		uprobe_unregister_points(set[i]->hook);
	sw_uprobe_wait();
	for (i = 0; i < count; i++) {
		set[i]->missed += uprobe_hook_missed(set[i]);
		uprobe_hook_free(set[i]->hook);
	}
}

static int uprobe_point_register(struct uprobe_hook *u, struct uprobe_point *point, s64 semaphore)
{
	int error = sw_uprobe_register(&point->uprobe, u->inode, point->function->offset, semaphore,
				       &point->consumer);

	point->registered = !error;
	return error;
}

/* Hooks as many functions as can be hooked, and reports the status of each. */
static int uprobe_hook_attach(struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	struct uprobe_hook *u;
	u32 i, registered = 0;
	int first_error = 0, killed = 0;

	if (!probe->processes || !probe->processes->binary)
		return -ENOEXEC;
	u = uprobe_hook_alloc(a);
	if (!u)
		return -ENOMEM;
	a->hook = u;
	for (i = 0; i < u->nr_points && !killed; i++) {
		struct uprobe_point *point = &u->points[i];
		int error = uprobe_point_register(u, point, probe->uprobe.semaphore);

		registered += !error;
		first_error = first_error ?: error;
		if (probe->nr_functions)
			sw_hook_set_status(a, i, point->function->symbol, error);
		cond_resched();
		killed = sw_hook_interrupted();
	}
	if (registered && !killed)
		return 0;
	sw_hook_undo(a);
	return killed ?: first_error;
}

/* A handler's address is the index of its function. */
static void uprobe_probed_function(struct sw_context *c, char *to, u32 size)
{
	const struct sw_probe *probe = &sw_script.probes[c->probe];

	sw_copy_key(c, to, size, probe->functions[c->address % probe->nr_functions].symbol);
}

const struct sw_hook_ops sw_uprobe_ops = {
	.attach = uprobe_hook_attach,
	.detach_many = uprobe_hook_detach_many,
	.missed = uprobe_hook_missed,
	.explain = sw_process_filter_explain,
	.probed_function = uprobe_probed_function,
};
