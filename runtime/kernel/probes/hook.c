// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attaches and detaches the hooks of the script, and reports which one failed.
 *
 * The hook of a probe with a condition is attached only while the condition is true.
 * A handler that changes a condition may run in any context, where nothing can be
 * attached. So it only queues an irq_work, which schedules a work item, which
 * evaluates all conditions again.
 *
 * hook_mutex serialises all of this: the session's start and stop, the work item,
 * and the reader's sync. Handlers never take it.
 */
#include <linux/irq_work.h>
#include <linux/sched/signal.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include "probes/hook.h"

#define HOOK_ROW(word, handler, ops) [SW_##word] = &(ops),
static const struct sw_hook_ops *const hook_kinds[] = { SW_HOOKS(HOOK_ROW) };
#undef HOOK_ROW

static struct sw_attachment *hook_attachments; /* one for each probe */
static struct sw_attachment **hook_set;	       /* those that detach_many() gets; under hook_mutex */
static void **hook_room;		       /* as many pointers for its own use */
static DEFINE_MUTEX(hook_mutex);
static bool hook_live; /* from sw_hooks_attach() to sw_hooks_detach(); under hook_mutex */
static struct irq_work hook_kick;
static struct work_struct hook_work;

const struct sw_hook_ops *sw_hook_ops_of(const struct sw_probe *probe)
{
	return hook_kinds[probe->hook];
}

static void hook_on_kick(struct irq_work *unused)
{
	schedule_work(&hook_work);
}

/*
 * Any context, in a handler that has changed a condition's variables and still holds
 * their locks. Queuing a work that is queued already does nothing, and that is
 * enough: the work item evaluates the conditions after it has been dequeued, and a
 * change behind that queues it again.
 */
void sw_rearm(void)
{
	irq_work_queue(&hook_kick);
}

/* The rows of the script are trusted to fit each other, but not to fit this runtime. */
static bool hook_is_valid(const struct sw_probe *probe)
{
	const struct sw_hook_ops *ops;

	if ((u32)probe->hook >= SW_NR_HOOKS)
		return false;
	ops = sw_hook_ops_of(probe);
	if (ops->counted_by && ops->counted_by(probe) >= sw_script.nr_probes)
		return false;
	return !probe->nr_functions || probe->status + probe->nr_functions <= sw_script.nr_statuses;
}

static void hook_work_run(struct work_struct *unused);

static void hook_free_all(void)
{
	kvfree(hook_attachments);
	kvfree(hook_set);
	kvfree(hook_room);
}

int sw_hooks_create(void)
{
	u32 count = max(sw_script.nr_probes, 1U), i;

	for (i = 0; i < sw_script.nr_probes; i++)
		if (!hook_is_valid(&sw_script.probes[i]))
			return -ENOEXEC;
	init_irq_work(&hook_kick, hook_on_kick);
	INIT_WORK(&hook_work, hook_work_run);
	hook_attachments = kvcalloc(count, sizeof(*hook_attachments), SW_GFP);
	hook_set = kvcalloc(count, sizeof(*hook_set), SW_GFP);
	hook_room = kvcalloc(count, sizeof(*hook_room), SW_GFP);
	if (!hook_attachments || !hook_set || !hook_room || sw_phases_create()) {
		hook_free_all();
		return -ENOMEM;
	}
	for (i = 0; i < sw_script.nr_probes; i++) {
		hook_attachments[i].probe = &sw_script.probes[i];
		hook_attachments[i].index = i;
	}
	sw_memory_add(sw_script.nr_probes *
		      (sizeof(*hook_attachments) + sizeof(*hook_set) + sizeof(*hook_room)));
	return 0;
}

/*
 * No handler runs any more, so nothing queues the irq_work. The order matters: the
 * irq_work schedules the work item, so it must have finished before the work item is
 * cancelled.
 */
void sw_hooks_destroy(void)
{
	irq_work_sync(&hook_kick);
	cancel_work_sync(&hook_work);
	sw_phases_destroy();
	hook_free_all();
}

void *sw_hook_alloc(size_t size)
{
	void *hook = kzalloc(size, SW_GFP);

	if (hook)
		sw_memory_add(size);
	return hook;
}

void sw_hook_free(void *hook, size_t size)
{
	kfree(hook);
	sw_memory_add(-(s64)size);
}

static void hook_report(const struct sw_attachment *a, const char *symbol, u32 kind, int error)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);
	const char *why = ops->explain ? ops->explain(error) : NULL;
	struct sw_context *c;
	char text[160];

	snprintf(text, sizeof(text), "cannot probe %s: error %d%s%s", symbol ?: "timer", error,
		 why ? ", " : "", why ?: "");
	c = sw_context_take(a->index);
	sw_event_text(c, kind, SW_NO_SITE, text);
	sw_context_give(c);
}

void sw_hook_set_status(const struct sw_attachment *a, u32 function, const char *symbol, int error)
{
	struct sw_probe_status *status = &sw_status[a->probe->status + function];

	status->error = error;
	status->armed = !error;
	if (error)
		hook_report(a, symbol, SW_EVENT_WARNING, error);
}

static bool hook_is_wanted(const struct sw_attachment *a)
{
	return !sw_script.armed || sw_script.armed(a->index);
}

int sw_hook_interrupted(void)
{
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int hook_attach(struct sw_attachment *a)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);
	bool optional = a->probe->flags & SW_PROBE_OPTIONAL;
	int error = a->filter_error ?: sw_hook_interrupted();

	if (!error && ops->attach)
		error = ops->attach(a);
	sw_status[a->index].error = error;
	sw_status[a->index].armed = !error;
	a->attached = !error;
	if (!error || error == -EINTR)
		return error;
	hook_report(a, a->probe->symbol, optional ? SW_EVENT_WARNING : SW_EVENT_ERROR, error);
	return optional ? 0 : error;
}

static void hook_set_detached(struct sw_attachment *a)
{
	u32 i;

	a->attached = false;
	if (!sw_hook_ops_of(a->probe)->release)
		a->hook = NULL;
	sw_status[a->index].armed = 0;
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

static bool hook_is_attached(const struct sw_attachment *a)
{
	return a->attached;
}

static bool hook_is_unwanted(const struct sw_attachment *a)
{
	return a->attached && !hook_is_wanted(a);
}

/* With the hook of `first` go those of the same kind before it. */
static void hook_detach_kind(struct sw_attachment *first,
			     bool (*leaves)(const struct sw_attachment *a))
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(first->probe);
	u32 i = first->index, count = 0;

	hook_set[count++] = first;
	while (i--) {
		struct sw_attachment *a = &hook_attachments[i];

		if (sw_hook_ops_of(a->probe) == ops && leaves(a))
			hook_set[count++] = a;
	}
	ops->detach_many(hook_set, count, hook_room);
	while (count--)
		hook_set_detached(hook_set[count]);
}

/* Takes the hooks out that leaves() names, waits once for their handlers, frees them. */
static void hook_detach_those(bool (*leaves)(const struct sw_attachment *a))
{
	u32 i = sw_script.nr_probes;
	bool must_wait = false;

	while (i--) {
		struct sw_attachment *a = &hook_attachments[i];
		const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);

		if (!leaves(a))
			continue;
		if (ops->detach_many) {
			hook_detach_kind(a, leaves);
			continue;
		}
		if (ops->detach)
			ops->detach(a);
		must_wait |= ops->release != NULL;
		hook_set_detached(a);
	}
	if (!must_wait)
		return;
	hook_wait();
	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &hook_attachments[i];

		if (a->hook && !a->attached) {
			sw_hook_ops_of(a->probe)->release(a);
			a->hook = NULL;
		}
	}
}

static int hook_attach_all(bool late)
{
	int error = 0;
	u32 i;

	for (i = 0; i < sw_script.nr_probes && !error; i++) {
		struct sw_attachment *a = &hook_attachments[i];

		if (sw_hook_ops_of(a->probe)->late == late && hook_is_wanted(a))
			error = hook_attach(a);
	}
	return error;
}

/*
 * Opened once for all the times that a condition attaches the hook again: a kernel
 * worker does that, for which a path may name another file than for the process that
 * starts the session.
 */
static void hook_open_filters(void)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &hook_attachments[i];

		if (a->probe->processes)
			a->filter_error = sw_process_filter_open(a);
	}
}

/* Filters go last: handlers use them until the last hook is detached. */
static void hook_detach_all(void)
{
	u32 i;

	hook_live = false;
	hook_detach_those(hook_is_attached);
	for (i = 0; i < sw_script.nr_probes; i++)
		sw_process_filter_close(&hook_attachments[i]);
}

/*
 * `wanted` is set before the first hook is attached. A handler that changes a
 * condition from then on sees the difference and queues the work item, which waits
 * for the mutex: no change is lost.
 */
int sw_hooks_attach(void)
{
	int error;
	u32 i;

	mutex_lock(&hook_mutex);
	hook_live = true;
	for (i = 0; i < sw_script.nr_probes; i++) {
		sw_status[i].error = 0;
		if (sw_script.wanted)
			sw_script.wanted[i] = hook_is_wanted(&hook_attachments[i]);
	}
	hook_open_filters();
	error = hook_attach_all(false);
	if (!error)
		error = hook_attach_all(true);
	if (error)
		hook_detach_all();
	mutex_unlock(&hook_mutex);
	return error;
}

/*
 * Evaluates all conditions again. It may run after sw_hooks_detach(), which does not
 * wait for it: then hook_live is false. A hook that could not be attached is not
 * tried again.
 */
static void hook_work_run(struct work_struct *unused)
{
	u32 i;

	mutex_lock(&hook_mutex);
	if (hook_live)
		hook_detach_those(hook_is_unwanted);
	for (i = 0; i < sw_script.nr_probes && hook_live; i++) {
		struct sw_attachment *a = &hook_attachments[i];

		if (!a->attached && !sw_status[i].error && hook_is_wanted(a))
			hook_attach(a);
	}
	mutex_unlock(&hook_mutex);
}

void sw_hooks_detach(void)
{
	mutex_lock(&hook_mutex);
	hook_detach_all();
	mutex_unlock(&hook_mutex);
	sw_hooks_count_missed();
}

static u64 hook_missed(const struct sw_attachment *a)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);
	u64 now = 0;

	if (ops->counted_by)
		return hook_missed(&hook_attachments[ops->counted_by(a->probe)]);
	if (a->attached && ops->missed)
		now = ops->missed(a);
	return READ_ONCE(a->missed) + now;
}

/* The mutex keeps the hooks whose counters are read from being detached meanwhile. */
void sw_hooks_count_missed(void)
{
	u32 i;

	mutex_lock(&hook_mutex);
	for (i = 0; i < sw_script.nr_probes; i++)
		WRITE_ONCE(sw_status[i].missed, hook_missed(&hook_attachments[i]));
	mutex_unlock(&hook_mutex);
}

void sw_probed_function(struct sw_context *c, char *to, u32 size)
{
	sw_hook_ops_of(&sw_script.probes[c->probe])->probed_function(c, to, size);
}
