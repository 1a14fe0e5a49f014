// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hook.c - places and removes the hooks of the script, and tells which one failed.
 *
 * A probe with a condition has its hook in place only while that holds. A handler that changes a
 * condition may run in any context, so it only kicks a worker, which looks at all conditions again.
 */
#include <linux/irq_work.h>
#include <linux/workqueue.h>
#include "probes/hook.h"

static struct sw_placement *placements;

/* A function's entry whose work the return probe's entry handler does: it has no hook of its own.
 */
static int paired_place(struct sw_placement *p)
{
	return sw_status[p->probe->number].armed ? 0 : -ENOENT;
}

static void paired_remove(struct sw_placement *p)
{
}

static const struct sw_hook_ops paired_hook = {
	.place = paired_place,
	.remove = paired_remove,
	.late = true,
};

/* A probe family: one row here, one file. */
static const struct sw_hook_ops *const families[] = {
	[SW_BEGIN] = &sw_phase_hook,
	[SW_END] = &sw_phase_hook,
	[SW_ERROR] = &sw_phase_hook,
	[SW_TIMER_NS] = &sw_timer_hook,
	[SW_TIMER_JIFFIES] = &sw_jiffies_hook,
	[SW_PROFILE] = &sw_profile_hook,
	[SW_FTRACE] = &sw_function_hook,
	[SW_KPROBE] = &sw_kprobe_hook,
	[SW_KRETPROBE] = &sw_kretprobe_hook,
	[SW_TRACEPOINT] = &sw_tracepoint_hook,
	[SW_PAIRED] = &paired_hook,
	[SW_PROCFS_READ] = &sw_procfs_hook,
	[SW_PROCFS_WRITE] = &sw_procfs_hook,
	[SW_INPUT_CHAR] = &sw_phase_hook,
	[SW_INPUT_LINE] = &sw_phase_hook,
	[SW_NETFILTER] = &sw_netfilter_hook,
	[SW_WATCHPOINT] = &sw_watchpoint_hook,
	[SW_PERF] = &sw_perf_hook,
	[SW_PROCESS] = &sw_process_hook,
	[SW_UPROBE] = &sw_uprobe_hook,
	[SW_URETPROBE] = &sw_uprobe_hook,
};

static DEFINE_MUTEX(arming); /* hooks come and go under it */
static bool live;	     /* between sw_hooks_place() and sw_hooks_remove() */
static struct irq_work arming_kick;
static struct work_struct arming_work;

static void rearm(struct work_struct *unused);

static void on_arming_kick(struct irq_work *unused)
{
	schedule_work(&arming_work);
}

void sw_rearm(void)
{
	irq_work_queue(&arming_kick);
}

int sw_hooks_create(void)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		u32 hook = sw_script.probes[i].hook;

		if (hook >= ARRAY_SIZE(families) || !families[hook])
			return -ENOEXEC;
		if (sw_script.probes[i].nr_functions &&
		    sw_script.probes[i].status + sw_script.probes[i].nr_functions >
			    sw_script.nr_statuses)
			return -ENOEXEC;
		if (hook == SW_PAIRED && sw_script.probes[i].number >= sw_script.nr_probes)
			return -ENOEXEC;
	}
	init_irq_work(&arming_kick, on_arming_kick);
	INIT_WORK(&arming_work, rearm);
	placements = kvcalloc(max(sw_script.nr_probes, 1U), sizeof(*placements), GFP_KERNEL);
	if (!placements)
		return -ENOMEM;
	if (sw_phases_create()) {
		kvfree(placements);
		return -ENOMEM;
	}
	for (i = 0; i < sw_script.nr_probes; i++) {
		placements[i].probe = &sw_script.probes[i];
		placements[i].index = i;
	}
	sw_memory_add(sw_script.nr_probes * sizeof(*placements));
	return 0;
}

/* No handler runs any more. */
void sw_hooks_destroy(void)
{
	irq_work_sync(&arming_kick);
	cancel_work_sync(&arming_work);
	sw_phases_destroy();
	kvfree(placements);
}

void *sw_hook_alloc(size_t size)
{
	void *hook = kzalloc(size, GFP_KERNEL);

	if (hook)
		sw_memory_add(size);
	return hook;
}

void sw_hook_free(void *hook, size_t size)
{
	kfree(hook);
	sw_memory_add(-(s64)size);
}

static void report(const struct sw_placement *p, const char *symbol, u32 kind, int error)
{
	const struct sw_hook_ops *family = families[p->probe->hook];
	const char *why = family->refusal ? family->refusal(error) : NULL;
	struct sw_context *c;
	char text[160];

	snprintf(text, sizeof(text), "cannot probe %s: error %d%s%s", symbol ?: "timer", error,
		 why ? ", " : "", why ?: "");
	c = sw_context_take(p->index);
	sw_event_text(c, kind, SW_NO_SITE, text);
	sw_context_give(c);
}

void sw_hook_tell(const struct sw_placement *p, u32 function, const char *symbol, int error)
{
	struct sw_probe_status *status = &sw_status[p->probe->status + function];

	status->error = error;
	status->armed = !error;
	if (error)
		report(p, symbol, SW_EVENT_WARNING, error);
}

static bool is_wanted(const struct sw_placement *p)
{
	return !sw_script.armed || sw_script.armed(p->index);
}

static int place(struct sw_placement *p)
{
	bool optional = p->probe->flags & SW_PROBE_OPTIONAL;
	int error = p->unready ?: families[p->probe->hook]->place(p);

	sw_status[p->index].error = error;
	sw_status[p->index].armed = !error;
	p->placed = !error;
	if (!error)
		return 0;
	report(p, p->probe->symbol, optional ? SW_EVENT_WARNING : SW_EVENT_ERROR, error);
	return optional ? 0 : error;
}

static void take_out(struct sw_placement *p)
{
	u32 i;

	families[p->probe->hook]->remove(p);
	p->placed = false;
	p->hook = NULL;
	sw_status[p->index].armed = 0;
	for (i = 0; i < p->probe->nr_functions; i++)
		sw_status[p->probe->status + i].armed = 0;
	cond_resched();
}

static int place_all(bool late)
{
	int error = 0;
	u32 i;

	for (i = 0; i < sw_script.nr_probes && !error; i++)
		if (families[placements[i].probe->hook]->late == late && is_wanted(&placements[i]))
			error = place(&placements[i]);
	return error;
}

/* Once for all the times that a condition brings the hooks back: those are placed by a worker, to
 * whom paths may mean other files. */
static void find_subjects(void)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++)
		if (families[placements[i].probe->hook]->has_subject)
			placements[i].unready = sw_subject_find(&placements[i]);
}

static void remove_all(void)
{
	u32 i = sw_script.nr_probes;

	live = false;
	while (i--)
		if (placements[i].placed)
			take_out(&placements[i]);
	for (i = 0; i < sw_script.nr_probes; i++)
		sw_subject_forget(&placements[i]);
}

int sw_hooks_place(void)
{
	int error;
	u32 i;

	mutex_lock(&arming);
	live = true;
	for (i = 0; i < sw_script.nr_probes; i++) {
		sw_status[i].error = 0;
		if (sw_script.wanted)
			sw_script.wanted[i] = is_wanted(&placements[i]);
	}
	find_subjects();
	error = place_all(false);
	if (!error)
		error = place_all(true);
	if (error)
		remove_all();
	mutex_unlock(&arming);
	return error;
}

/* A change that comes while this runs has kicked once more. A hook that failed is not tried again.
 */
static void rearm(struct work_struct *unused)
{
	u32 i;

	mutex_lock(&arming);
	for (i = 0; i < sw_script.nr_probes && live; i++) {
		struct sw_placement *p = &placements[i];
		bool wanted = is_wanted(p);

		if (p->placed && !wanted)
			take_out(p);
		else if (!p->placed && wanted && !sw_status[i].error)
			place(p);
	}
	mutex_unlock(&arming);
}

void sw_hooks_remove(void)
{
	mutex_lock(&arming);
	remove_all();
	mutex_unlock(&arming);
	sw_hooks_count_missed();
}

void sw_hooks_count_missed(void)
{
	u32 i;

	mutex_lock(&arming);

	for (i = 0; i < sw_script.nr_probes; i++) {
		const struct sw_placement *p = &placements[i];
		const struct sw_hook_ops *family;
		u64 now;

		if (p->probe->hook == SW_PAIRED)
			p = &placements[p->probe->number];
		family = families[p->probe->hook];
		now = p->placed && family->missed ? family->missed(p) : 0;

		WRITE_ONCE(sw_status[i].missed, p->missed + now);
	}
	mutex_unlock(&arming);
}
