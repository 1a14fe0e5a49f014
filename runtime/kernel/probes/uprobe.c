// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uprobe.c - places in programs: a breakpoint in every process that has the file mapped, or will.
 *
 * All places of a wildcard that have the same handler are one hook. The kernel looks at the
 * processes that map the file for each place, so a thousand places take some time. Handlers run in
 * the process that was hit.
 */
#include <linux/err.h>
#include <linux/overflow.h>
#include <linux/uprobes.h>
#include "probes/hook.h"

struct place {
	struct uprobe_consumer consumer;
	struct uprobes *owner;
	struct uprobe *uprobe; /* where the kernel has a name for it */
	const struct sw_function *function;
	bool placed;
};

struct uprobes {
	const struct sw_placement *placement;
	struct inode *inode;	 /* held by the placement's subject */
	struct sw_function only; /* what `functions` is where the probe names one */
	u32 nr_places;
	struct place places[];
};

static void uprobe_hit(struct uprobe_consumer *consumer, struct pt_regs *regs)
{
	const struct place *place = container_of(consumer, struct place, consumer);
	const struct uprobes *u = place->owner;
	sw_uprobe_handler *handler = u->placement->probe->handler;

	if (sw_subject_is_current(u->placement->subject))
		handler(place - u->places, (struct sw_regs *)regs);
}

static int on_hit(struct uprobe_consumer *consumer, struct pt_regs *regs SW_UPROBE_DATA)
{
	uprobe_hit(consumer, regs);
	return 0;
}

static int on_function_return(struct uprobe_consumer *consumer, unsigned long function,
			      struct pt_regs *regs SW_UPROBE_DATA)
{
	uprobe_hit(consumer, regs);
	return 0;
}

/* A library's functions get no breakpoint in other programs than the probe's. */
static bool is_for(struct uprobe_consumer *consumer, SW_UPROBE_FILTER_CTX struct mm_struct *mm)
{
	const struct place *place = container_of(consumer, struct place, consumer);

	return sw_subject_runs(place->owner->placement->subject, mm);
}

static size_t size_of(const struct uprobes *u)
{
	return struct_size(u, places, u->nr_places);
}

static struct uprobes *uprobes_alloc(const struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	u32 count = probe->nr_functions ?: 1, i;
	struct uprobes *u = kvzalloc(struct_size(u, places, count), GFP_KERNEL);

	if (!u)
		return NULL;
	u->placement = p;
	u->nr_places = count;
	u->inode = sw_subject_binary(p->subject);
	u->only.symbol = probe->symbol;
	u->only.offset = probe->offset;
	for (i = 0; i < count; i++) {
		struct place *place = &u->places[i];

		place->owner = u;
		place->function = probe->nr_functions ? &probe->functions[i] : &u->only;
		if (probe->hook == SW_URETPROBE)
			place->consumer.ret_handler = on_function_return;
		else
			place->consumer.handler = on_hit;
		if (probe->program)
			place->consumer.filter = is_for;
	}
	sw_memory_add(size_of(u));
	return u;
}

/* Once all places are taken out and their handlers waited for, nobody looks at it any more. */
static void uprobe_remove(struct sw_placement *p)
{
	struct uprobes *u = p->hook;
	u32 i;

	for (i = 0; i < u->nr_places; i++) {
		struct place *place = &u->places[i];

		if (place->placed)
			sw_uprobe_unregister(place->uprobe, u->inode, place->function->offset,
					     &place->consumer);
		cond_resched();
	}
	sw_uprobe_wait();
	sw_memory_add(-(s64)size_of(u));
	kvfree(u);
}

/* Of many functions those are hooked that can be, and each tells its status. */
static int uprobe_place(struct sw_placement *p)
{
	struct uprobes *u;
	u32 i, placed = 0;
	int error = 0;

	if (!p->probe->binary)
		return -ENOEXEC;
	u = uprobes_alloc(p);
	if (!u)
		return -ENOMEM;
	p->hook = u;
	for (i = 0; i < u->nr_places; i++) {
		struct place *place = &u->places[i];
		int failed = sw_uprobe_register(&place->uprobe, u->inode, place->function->offset,
						p->probe->semaphore, &place->consumer);

		place->placed = !failed;
		placed += !failed;
		error = error ?: failed;
		if (p->probe->nr_functions)
			sw_hook_tell(p, i, place->function->symbol, failed);
		cond_resched();
	}
	if (placed)
		return 0;
	uprobe_remove(p);
	p->hook = NULL;
	return error;
}

const struct sw_hook_ops sw_uprobe_hook = {
	.place = uprobe_place,
	.remove = uprobe_remove,
	.refusal = sw_subject_refusal,
	.has_subject = true,
};
