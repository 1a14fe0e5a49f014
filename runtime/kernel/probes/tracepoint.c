// SPDX-License-Identifier: GPL-2.0-or-later
/* tracepoint.c - tracepoints of the kernel and of loaded modules, found by name. */
#include <linux/tracepoint.h>
#include "probes/hook.h"

struct trace {
	struct tracepoint *point;
	struct module *owner; /* held while we are on its tracepoint; NULL: the kernel's own */
};

struct search {
	struct notifier_block notifier;
	const char *name;
	struct trace found;
};

static void look_at(struct tracepoint *point, void *data)
{
	struct search *search = data;

	if (!strcmp(point->name, search->name))
		search->found.point = point;
}

#ifdef CONFIG_MODULES
static int look_into_module(struct notifier_block *notifier, unsigned long event, void *data)
{
	struct search *search = container_of(notifier, struct search, notifier);
	struct tp_module *module = data;
	struct module *owner = module->mod;
	int i;

	if (event != MODULE_STATE_COMING || search->found.point)
		return NOTIFY_OK;
	for (i = 0; i < owner->num_tracepoints; i++)
		look_at(tracepoint_ptr_deref(&owner->tracepoints_ptrs[i]), search);
	if (!search->found.point)
		return NOTIFY_OK;
	if (try_module_get(owner))
		search->found.owner = owner;
	else
		search->found.point = NULL;
	return NOTIFY_OK;
}

/* A new notifier is told of every module that has tracepoints. */
static void search_modules(struct search *search)
{
	search->notifier.notifier_call = look_into_module;
	if (!register_tracepoint_module_notifier(&search->notifier))
		unregister_tracepoint_module_notifier(&search->notifier);
}
#else
static void search_modules(struct search *search)
{
}
#endif

struct tracepoint *sw_tracepoint_find(const char *name)
{
	struct search search = { .name = name };

	for_each_kernel_tracepoint(look_at, &search);
	return search.found.point;
}

static int tracepoint_place(struct sw_placement *p)
{
	struct search search = { .name = p->probe->symbol };
	struct trace *trace;
	int error = -ENOMEM;

	search.found.point = sw_tracepoint_find(search.name);
	if (!search.found.point)
		search_modules(&search);
	if (!search.found.point)
		return -ENOENT;
	trace = sw_hook_alloc(sizeof(*trace));
	if (!trace)
		goto no_trace;
	*trace = search.found;
	error = tracepoint_probe_register(trace->point, p->probe->handler, p);
	if (error)
		goto no_probe;
	p->hook = trace;
	return 0;

no_probe:
	sw_hook_free(trace, sizeof(*trace));
no_trace:
	module_put(search.found.owner);
	return error;
}

static void tracepoint_remove(struct sw_placement *p)
{
	struct trace *trace = p->hook;

	tracepoint_probe_unregister(trace->point, p->probe->handler, p);
	tracepoint_synchronize_unregister();
	module_put(trace->owner);
	sw_hook_free(trace, sizeof(*trace));
}

const struct sw_hook_ops sw_tracepoint_hook = {
	.place = tracepoint_place,
	.remove = tracepoint_remove,
};
