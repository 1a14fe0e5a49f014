// SPDX-License-Identifier: GPL-2.0-or-later
/* Detaches hooks, with one wait for the handlers of all that leave together. */
#include <linux/tracepoint.h>
#include "probes/hook_private.h"

static struct sw_attachment **hook_set; /* those that detach_many() gets; under hook.c's mutex */
static void **hook_room;		/* as many pointers for its own use */

int sw_hook_detach_create(void)
{
	u32 count = max(sw_script.nr_probes, 1U);

	hook_set = kvcalloc(count, sizeof(*hook_set), SW_GFP);
	hook_room = kvcalloc(count, sizeof(*hook_room), SW_GFP);
	return hook_set && hook_room ? 0 : -ENOMEM;
}

void sw_hook_detach_destroy(void)
{
	kvfree(hook_set);
	kvfree(hook_room);
}

static void hook_set_detached(struct sw_attachment *a, int why)
{
	u32 i;

	a->attached = false;
	if (!sw_hook_ops_of(a->probe)->release)
		a->hook = NULL;
	sw_status[a->index].armed = 0;
	sw_status[a->index].error = why;
	for (i = 0; i < a->probe->nr_functions; i++)
		sw_status[a->probe->status + i].armed = 0;
	cond_resched();
}

/* For the handlers of all hooks that detach() has taken out and release() will free. */
static void hook_wait(void)
{
	tracepoint_synchronize_unregister(); /* newer kernels: not of plain RCU */
	synchronize_rcu();
}

void sw_hook_undo(struct sw_attachment *a)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);

	if (ops->detach_many)
		ops->detach_many(&a, 1, hook_room);
	else
		ops->detach(a);
	if (ops->release) {
		hook_wait();
		ops->release(a);
	}
	a->hook = NULL;
}

/* With the hook of `first` go those of the same kind before it. */
static void hook_detach_kind(struct sw_attachment *first, sw_hook_test *leaves, const void *what,
			     int why)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(first->probe);
	u32 i = first->index, count = 0;

	hook_set[count++] = first;
	while (i--) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (sw_hook_ops_of(a->probe) == ops && leaves(a, what))
			hook_set[count++] = a;
	}
	ops->detach_many(hook_set, count, hook_room);
	while (count--)
		hook_set_detached(hook_set[count], why);
}

void sw_hook_detach_those(sw_hook_test *leaves, const void *what, int why)
{
	u32 i = sw_script.nr_probes;
	bool must_wait = false;

	while (i--) {
		struct sw_attachment *a = &sw_hook_attachments[i];
		const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);

		if (!leaves(a, what))
			continue;
		if (ops->detach_many) {
			hook_detach_kind(a, leaves, what, why);
			continue;
		}
		if (ops->detach)
			ops->detach(a);
		must_wait |= ops->release != NULL;
		hook_set_detached(a, why);
	}
	if (!must_wait)
		return;
	hook_wait();
	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (a->hook && !a->attached) {
			sw_hook_ops_of(a->probe)->release(a);
			a->hook = NULL;
		}
	}
}
