// SPDX-License-Identifier: GPL-2.0-or-later
/* Tracepoints of the kernel and of loaded modules, found by name. */
#include <linux/tracepoint.h>
#include "probes/hook.h"

struct tracepoint_hook {
	struct tracepoint *point;
	struct module *owner; /* whose tracepoint it is, referenced; NULL: the kernel proper */
};

struct tracepoint_search {
	struct notifier_block notifier;
	const char *name;
	struct tracepoint_hook found;
};

static void tracepoint_compare(struct tracepoint *point, void *data)
{
	struct tracepoint_search *search = data;

	if (!strcmp(point->name, search->name))
		search->found.point = point;
}

#ifdef CONFIG_MODULES
/*
 * Called under the lock of the modules' tracepoints, so the module cannot go before
 * the reference is taken. A module that is being unloaded gives none: its
 * tracepoint counts as absent.
 */
static int tracepoint_search_module(struct notifier_block *notifier, unsigned long event,
				    void *data)
{
	struct tracepoint_search *search =
		container_of(notifier, struct tracepoint_search, notifier);
	struct tp_module *module = data;
	struct module *owner = module->mod;
	int i;

	if (event != MODULE_STATE_COMING || search->found.point)
		return NOTIFY_OK;
	for (i = 0; i < owner->num_tracepoints; i++)
		tracepoint_compare(tracepoint_ptr_deref(&owner->tracepoints_ptrs[i]), search);
	if (!search->found.point)
		return NOTIFY_OK;
	if (try_module_get(owner))
		search->found.owner = owner;
	else
		search->found.point = NULL;
	return NOTIFY_OK;
}

/* The kernel calls a new notifier for every loaded module that has tracepoints. */
static void tracepoint_search_modules(struct tracepoint_search *search)
{
	search->notifier.notifier_call = tracepoint_search_module;
	if (!register_tracepoint_module_notifier(&search->notifier))
		unregister_tracepoint_module_notifier(&search->notifier);
}
#else
static void tracepoint_search_modules(struct tracepoint_search *search)
{
}
#endif

struct tracepoint *sw_tracepoint_find(const char *name)
{
	struct tracepoint_search search = { .name = name };

	for_each_kernel_tracepoint(tracepoint_compare, &search);
	return search.found.point;
}

static int tracepoint_hook_attach(struct sw_attachment *a)
{
	struct tracepoint_search search = { .name = a->probe->symbol };
	struct tracepoint_hook *t;
	int error = -ENOMEM;

	search.found.point = sw_tracepoint_find(search.name);
	if (!search.found.point)
		tracepoint_search_modules(&search);
	if (!search.found.point)
		return -ENOENT;
	t = sw_hook_alloc(sizeof(*t));
	if (!t)
		goto put_module;
	*t = search.found;
	error = tracepoint_probe_register(t->point, a->probe->handler, a);
	if (error)
		goto free_hook;
	a->hook = t;
	return 0;

free_hook:
	sw_hook_free(t, sizeof(*t));
put_module:
	module_put(search.found.owner);
	return error;
}

/*
 * A tracepoint calls its probes from a list that it reads under RCU (of one kind or
 * another). After the unregistering a CPU may still be in the old list, so wait for
 * all of them before the handler may go (hook.c does); the owner goes last, as its
 * tracepoint is in use until then.
 */
static void tracepoint_hook_detach(struct sw_attachment *a)
{
	struct tracepoint_hook *t = a->hook;

	tracepoint_probe_unregister(t->point, a->probe->handler, a);
}

static void tracepoint_hook_release(struct sw_attachment *a)
{
	struct tracepoint_hook *t = a->hook;

	module_put(t->owner);
	sw_hook_free(t, sizeof(*t));
}

const struct sw_hook_ops sw_tracepoint_ops = {
	.attach = tracepoint_hook_attach,
	.detach = tracepoint_hook_detach,
	.release = tracepoint_hook_release,
};
