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
#include <linux/workqueue.h>
#include "probes/hook_private.h"

#define HOOK_ROW(word, handler, ops) [SW_##word] = &(ops),
static const struct sw_hook_ops *const hook_kinds[] = { SW_HOOKS(HOOK_ROW) };
#undef HOOK_ROW

struct sw_attachment *sw_hook_attachments;
static bool hook_follows; /* some probe is in a module */
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
	kvfree(sw_hook_attachments);
	sw_hook_detach_destroy();
}

static int hook_alloc_all(void)
{
	u32 count = max(sw_script.nr_probes, 1U), i;

	sw_hook_attachments = kvcalloc(count, sizeof(*sw_hook_attachments), SW_GFP);
	if (!sw_hook_attachments)
		return -ENOMEM;
	for (i = 0; i < sw_script.nr_probes; i++) {
		sw_hook_attachments[i].probe = &sw_script.probes[i];
		sw_hook_attachments[i].index = i;
	}
	sw_memory_add(sw_script.nr_probes * sizeof(*sw_hook_attachments));
	return sw_hook_detach_create();
}

int sw_hooks_create(void)
{
	int error;
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++)
		if (!hook_is_valid(&sw_script.probes[i]))
			return -ENOEXEC;
	init_irq_work(&hook_kick, hook_on_kick);
	INIT_WORK(&hook_work, hook_work_run);
	error = hook_alloc_all() ?: sw_phases_create();
	if (error) {
		hook_free_all();
		return error;
	}
	hook_follows = sw_hooks_are_in_modules();
	error = hook_follows ? sw_modules_follow() : 0;
	if (error) {
		sw_phases_destroy();
		hook_free_all();
	}
	return error;
}

/*
 * No module is followed any more, and no handler runs, so nothing queues the irq_work. The order matters: the
 * irq_work schedules the work item, so it must have finished before the work item is
 * cancelled.
 */
void sw_hooks_destroy(void)
{
	if (hook_follows)
		sw_modules_unfollow();
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

void sw_hook_report(const struct sw_attachment *a, const char *symbol, u32 kind, int error)
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
	if (error && error != SW_WAITS)
		sw_hook_report(a, symbol, SW_EVENT_WARNING, error);
}

bool sw_hook_is_wanted(const struct sw_attachment *a)
{
	return !sw_script.armed || sw_script.armed(a->index);
}

int sw_hook_interrupted(void)
{
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* A hook that is at no function of its own yet is attached, too: it follows modules. */
void sw_hook_set_result(struct sw_attachment *a, int error)
{
	sw_status[a->index].error = error;
	sw_status[a->index].armed = !error;
	a->attached = !error || a->hook;
}

static int hook_try(struct sw_attachment *a)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);
	const char *symbol = ops->address ? a->probe->symbol : NULL;
	int error = a->filter_error ?: sw_hook_interrupted();

	error = error ?: sw_module_state(symbol);
	if (!error && ops->attach)
		error = ops->attach(a);
	/* the compiler has seen it in the module: it is init code, which has gone */
	return error == -ENOENT && sw_module_length(symbol) ? SW_WAITS : error;
}

int sw_hook_attach(struct sw_attachment *a)
{
	bool optional = a->probe->flags & SW_PROBE_OPTIONAL;
	int error = hook_try(a);

	sw_hook_set_result(a, error);
	if (error == SW_WAITS)
		return 0;
	if (!error || error == -EINTR)
		return error;
	sw_hook_report(a, a->probe->symbol, optional ? SW_EVENT_WARNING : SW_EVENT_ERROR, error);
	return optional ? 0 : error;
}

static bool hook_is_attached(const struct sw_attachment *a, const void *unused)
{
	return a->attached;
}

static bool hook_is_unwanted(const struct sw_attachment *a, const void *unused)
{
	return a->attached && !sw_hook_is_wanted(a);
}

static int hook_attach_all(bool late)
{
	int error = 0;
	u32 i;

	for (i = 0; i < sw_script.nr_probes && !error; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (sw_hook_ops_of(a->probe)->late == late && sw_hook_is_wanted(a))
			error = sw_hook_attach(a);
	}
	return error;
}

/*
 * Opened once for all the times that a condition attaches the hook again: a kernel
 * worker does that, for which a path may name another file than for the process that
 * starts the session. Without the mutex, for which the loading of a module may wait: a path
 * may be that of a file system that is yet to be mounted. The session is not live, so nothing
 * else looks at the filters.
 */
static void hook_open_filters(void)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (a->probe->processes)
			a->filter_error = sw_process_filter_open(a);
	}
}

/* Filters go last: handlers use them until the last hook is detached. */
static void hook_detach_all(void)
{
	u32 i;

	hook_live = false;
	sw_hook_detach_those(hook_is_attached, NULL, 0);
	for (i = 0; i < sw_script.nr_probes; i++)
		sw_process_filter_close(&sw_hook_attachments[i]);
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

	hook_open_filters();
	mutex_lock(&hook_mutex);
	hook_live = true;
	for (i = 0; i < sw_script.nr_probes; i++) {
		sw_status[i].error = 0;
		if (sw_script.wanted)
			sw_script.wanted[i] = sw_hook_is_wanted(&sw_hook_attachments[i]);
	}
	error = hook_attach_all(false);
	if (!error)
		error = hook_attach_all(true);
	if (error)
		hook_detach_all();
	else if (hook_follows)
		sw_hook_report_waiting();
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
		sw_hook_detach_those(hook_is_unwanted, NULL, 0);
	for (i = 0; i < sw_script.nr_probes && hook_live; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (!a->attached && !sw_status[i].error && sw_hook_is_wanted(a))
			sw_hook_attach(a);
	}
	mutex_unlock(&hook_mutex);
}

void sw_hooks_follow(const struct module *module, unsigned long state)
{
	mutex_lock(&hook_mutex);
	if (hook_live)
		sw_hook_follow(module, state);
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
		return hook_missed(&sw_hook_attachments[ops->counted_by(a->probe)]);
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
		WRITE_ONCE(sw_status[i].missed, hook_missed(&sw_hook_attachments[i]));
	mutex_unlock(&hook_mutex);
}

void sw_probed_function(struct sw_context *c, char *to, u32 size)
{
	sw_hook_ops_of(&sw_script.probes[c->probe])->probed_function(c, to, size);
}
