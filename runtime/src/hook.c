// SPDX-License-Identifier: GPL-2.0-or-later
/* hook.c - places and removes all hooks of the script, and tells which one failed. */
#include "hook.h"

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
};

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

void sw_hooks_destroy(void)
{
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
	struct sw_context *c;
	char text[160];

	snprintf(text, sizeof(text), "cannot probe %s: error %d", symbol ?: "timer", error);
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

static int place(struct sw_placement *p)
{
	bool optional = p->probe->flags & SW_PROBE_OPTIONAL;
	int error = families[p->probe->hook]->place(p);

	sw_status[p->index].error = error;
	sw_status[p->index].armed = !error;
	p->placed = !error;
	if (!error)
		return 0;
	report(p, p->probe->symbol, optional ? SW_EVENT_WARNING : SW_EVENT_ERROR, error);
	return optional ? 0 : error;
}

static int place_all(bool late)
{
	int error = 0;
	u32 i;

	for (i = 0; i < sw_script.nr_probes && !error; i++)
		if (families[placements[i].probe->hook]->late == late)
			error = place(&placements[i]);
	return error;
}

int sw_hooks_place(void)
{
	int error = place_all(false);

	if (!error)
		error = place_all(true);
	if (error)
		sw_hooks_remove();
	return error;
}

static void disarmed(const struct sw_placement *p)
{
	u32 i;

	sw_status[p->index].armed = 0;
	for (i = 0; i < p->probe->nr_functions; i++)
		sw_status[p->probe->status + i].armed = 0;
}

void sw_hooks_remove(void)
{
	u32 i = sw_script.nr_probes;

	while (i--) {
		struct sw_placement *p = &placements[i];

		if (!p->placed)
			continue;
		families[p->probe->hook]->remove(p);
		p->placed = false;
		p->hook = NULL;
		disarmed(p);
		cond_resched();
	}
	sw_hooks_count_missed();
}

void sw_hooks_count_missed(void)
{
	u32 i;

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
}
