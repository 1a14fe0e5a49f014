// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Function entry by ftrace, whose trampoline calls the script's handler directly.
 * Functions that ftrace does not reach (assembly, for one) get a fallback kprobe.
 *
 * All functions of a wildcard with the same handler share one ftrace_ops, registered
 * once. If several functions have one name, all are hooked. Functions of a module are
 * hooked while it is loaded.
 *
 * The flags tell ftrace that the handler guards itself against recursion (sw_enter()
 * does), or it would insert a helper that does it again.
 */
#include <linux/kallsyms.h>
#include "probes/ftrace_part.h"

static void ftrace_hook_free(struct ftrace_hook *f)
{
	struct ftrace_part *part;

	/* An empty filter frees the old one; ftrace_free_filter() is not exported everywhere. */
	ftrace_set_filter(&f->ops, NULL, 0, 1);
	while ((part = f->parts)) {
		f->parts = part->next;
		sw_ftrace_part_free(part);
	}
	kvfree(f->errors);
	if (!f->stuck)
		sw_hook_free(f, sizeof(*f));
}

static struct ftrace_hook *ftrace_hook_alloc(struct sw_attachment *a)
{
	struct ftrace_hook *f = sw_hook_alloc(sizeof(*f));
	const struct sw_probe *probe = a->probe;

	if (!f)
		return NULL;
	f->attachment = a;
	f->only.symbol = probe->symbol;
	f->only.offset = probe->ftrace.offset;
	f->functions = probe->nr_functions ? probe->functions : &f->only;
	f->nr_functions = probe->nr_functions ?: 1;
	f->handler = probe->handler;
	f->errors = kvcalloc(f->nr_functions, sizeof(*f->errors), SW_GFP);
	if (!f->errors) {
		ftrace_hook_free(f);
		return NULL;
	}
	/* sw_ftrace_handler, with our names for the kernel's types */
	f->ops.func = (ftrace_func_t)f->handler;
	f->ops.flags = SW_FTRACE_ARGUMENTS | SW_FTRACE_GUARDED;
	f->ops.private = a;
	return f;
}

static void ftrace_nothing(unsigned long ip, unsigned long parent_ip, void *ops, void *regs)
{
}

/*
 * Has ftrace free the trampoline of an ops that is out, and in which no task is any more.
 * Nothing is exported for that. But a registration that fails gives it back at once, and one
 * that may change where a function goes on fails without a filter. Where this is not so, the
 * ops stays for ever.
 */
static void ftrace_free_trampoline(struct ftrace_hook *f)
{
	ftrace_set_filter(&f->ops, NULL, 0, 1);
	f->ops.func = (ftrace_func_t)ftrace_nothing; /* it is in the list of all ops for a moment */
	f->ops.flags |= FTRACE_OPS_FL_IPMODIFY;
	if (!register_ftrace_function(&f->ops))
		unregister_ftrace_function(&f->ops);
	f->stuck = f->ops.trampoline != 0;
	if (f->stuck)
		sw_log(KERN_WARNING, "ftrace keeps a trampoline: its memory is lost");
}

/*
 * A task can sit in a trampoline, before or behind the handler's own preempt-off section, so
 * no RCU grace period is enough. ftrace sees that an ops is allocated (FTRACE_OPS_FL_DYNAMIC),
 * so unregister_ftrace_function() has every CPU schedule, and with a preemptible kernel every
 * task, before it frees the trampoline and returns. This takes a tenth of a second and more.
 *
 * Two such waits do for any number of ops. All but two leave as if they were not allocated;
 * the one that waits then waits for all of them. Their trampolines are freed, for which they
 * are in the list of all ops again, and the last wait is for those that walk this list. For
 * each trampoline ftrace waits for those that look at the names of trampolines, which is
 * hurried: the CPUs are interrupted for each of them anyway, when its code is changed.
 */
static void ftrace_unregister_many(struct ftrace_hook **hooks, u32 count)
{
	u32 i, quick = count > 2 ? count - 2 : 0;

	for (i = 0; i < quick; i++) {
		hooks[i]->ops.flags &= ~FTRACE_OPS_FL_DYNAMIC;
		unregister_ftrace_function(&hooks[i]->ops);
		cond_resched();
	}
	if (count > 1)
		unregister_ftrace_function(&hooks[count - 2]->ops);
	sw_rcu_hurry();
	for (i = 0; i < quick; i++) {
		ftrace_free_trampoline(hooks[i]);
		cond_resched();
	}
	sw_rcu_unhurry();
	if (count)
		unregister_ftrace_function(&hooks[count - 1]->ops);
}

/* Waits once for all fallbacks; without memory for their list, once for each part. */
static void ftrace_unregister_fallbacks(struct sw_attachment *const *set, u32 count)
{
	struct kprobe **all = NULL;
	struct ftrace_part *part;
	u32 i, n = 0, total = 0;

	for (i = 0; i < count; i++)
		ftrace_for_each_part(part, (struct ftrace_hook *)set[i]->hook) total +=
			part->nr_kprobes;
	if (total)
		all = kvcalloc(total, sizeof(*all), SW_GFP);
	for (i = 0; i < count; i++) {
		ftrace_for_each_part(part, (struct ftrace_hook *)set[i]->hook)
		{
			if (!all)
				unregister_kprobes(part->kprobes, part->nr_kprobes);
			else if (part->nr_kprobes)
				memcpy(all + n, part->kprobes, part->nr_kprobes * sizeof(*all));
			n += part->nr_kprobes;
		}
	}
	if (all)
		unregister_kprobes(all, total);
	kvfree(all);
}

/* Also detaches what a failed attach has left. */
static void ftrace_hook_detach_many(struct sw_attachment *const *set, u32 count, void **room)
{
	struct ftrace_hook **registered = (struct ftrace_hook **)room;
	struct ftrace_part *part;
	u32 i, n = 0;

	for (i = 0; i < count; i++) {
		struct ftrace_hook *f = set[i]->hook;

		if (f->registered)
			registered[n++] = f;
	}
	ftrace_unregister_many(registered, n);
	ftrace_unregister_fallbacks(set, count);
	for (i = 0; i < count; i++) {
		ftrace_for_each_part(part, (struct ftrace_hook *)set[i]->hook) set[i]->missed +=
			sw_ftrace_part_missed(part);
		ftrace_hook_free(set[i]->hook);
	}
}

/* What became of each function, from its places: hooked if one of them is. */
static void ftrace_collect_errors(struct ftrace_hook *f)
{
	struct ftrace_part *part;
	u32 i;

	for (i = 0; i < f->nr_functions; i++)
		f->errors[i] = SW_WAITS;
	ftrace_for_each_part(part, f)
	{
		for (i = 0; part->error && i < f->nr_functions; i++)
			if (sw_module_has(part->module, f->functions[i].symbol))
				f->errors[i] = part->error;
		for (i = 0; i < part->nr_places; i++) {
			s32 *error = &f->errors[part->places[i].function];

			if (*error)
				*error = part->places[i].error;
		}
	}
}

/*
 * Sets the status of each function, or of those of `module`. It is an error only if none is
 * hooked, and none waits.
 */
static int ftrace_conclude(struct sw_attachment *a, const struct module *module)
{
	struct ftrace_hook *f = a->hook;
	u32 i, hooked = 0, waiting = 0;

	ftrace_collect_errors(f);
	for (i = 0; i < f->nr_functions; i++) {
		hooked += !f->errors[i];
		waiting += f->errors[i] == SW_WAITS;
		if (a->probe->nr_functions &&
		    (!module || sw_module_has(module, f->functions[i].symbol)))
			sw_hook_set_status(a, i, f->functions[i].symbol, f->errors[i]);
	}
	if (hooked)
		return 0;
	return waiting ? SW_WAITS : f->errors[0];
}

/* Its init code is there only until it has been initialized. */
static int ftrace_add_module(struct ftrace_hook *f, const struct module *module)
{
	int error = sw_module_check(module->name);

	if (error)
		return sw_ftrace_part_refuse(f, module, error);
	error = sw_ftrace_part_add(f, module, false);
	if (!error && module->state == MODULE_STATE_COMING)
		error = sw_ftrace_part_add(f, module, true);
	return error;
}

/* The functions of one module are next to each other. */
static int ftrace_add_loaded_modules(struct ftrace_hook *f)
{
	const char *last = NULL;
	int error = 0;
	u32 i;

	for (i = 0; i < f->nr_functions && !error; i++) {
		const char *symbol = f->functions[i].symbol;
		u32 length = sw_module_length(symbol);
		const struct module *module;

		if (!length || (last && !strncmp(last, symbol, length + 1)))
			continue;
		last = symbol;
		module = sw_module_get(symbol);
		if (module)
			error = ftrace_add_module(f, module);
		sw_module_put(module);
	}
	return error;
}

static int ftrace_hook_attach(struct sw_attachment *a)
{
	struct ftrace_hook *f = ftrace_hook_alloc(a);
	int error;

	if (!f)
		return -ENOMEM;
	a->hook = f;
	error = sw_ftrace_part_add(f, NULL, false) ?: ftrace_add_loaded_modules(f) ?:
						      ftrace_conclude(a, NULL);
	if (error && error != SW_WAITS && error != SW_OTHER_BUILD)
		sw_hook_undo(a);
	return error;
}

static void ftrace_drop_module(struct ftrace_hook *f, const struct module *module)
{
	sw_ftrace_part_drop(f, module, true);
	sw_ftrace_part_drop(f, module, false);
}

/* A module that comes may have been found when the session started. */
static void ftrace_hook_follow(struct sw_attachment *a, const struct module *module,
			       unsigned long state)
{
	struct ftrace_hook *f = a->hook;
	int error = 0;

	if (state == MODULE_STATE_LIVE)
		sw_ftrace_part_drop(f, module, true);
	else
		ftrace_drop_module(f, module);
	if (state == MODULE_STATE_COMING)
		error = ftrace_add_module(f, module);
	if (error) {
		ftrace_drop_module(f, module);
		sw_hook_report(a, module->name, SW_EVENT_WARNING, error);
	}
	sw_hook_set_result(a, ftrace_conclude(a, module));
}

/* Only fallbacks miss hits: those inside of another kprobe. */
static u64 ftrace_hook_missed(const struct sw_attachment *a)
{
	const struct ftrace_hook *f = a->hook;
	struct ftrace_part *part;
	u64 missed = 0;

	ftrace_for_each_part(part, f) missed += sw_ftrace_part_missed(part);
	return missed;
}

/*
 * The largest distance from a function's start to the address that a handler gets.
 * This is the address of ftrace's call, which an instruction that marks jump
 * targets may precede.
 */
#define FTRACE_CALL_DISTANCE 16

/* Functions are in the order of their offsets, those of unknown offset first. */
static void ftrace_probed_function(struct sw_context *c, char *to, u32 size)
{
	const struct sw_probe *probe = &sw_script.probes[c->probe];
	u64 offset = c->address - (unsigned long)register_ftrace_function;
	u32 low = 0, high = probe->nr_functions;
	char name[KSYM_SYMBOL_LEN];

	while (low < high) {
		u32 middle = (low + high) / 2;

		if ((s64)probe->functions[middle].offset <= (s64)offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && probe->functions[low - 1].offset &&
	    offset - probe->functions[low - 1].offset < FTRACE_CALL_DISTANCE) {
		sw_copy_key(c, to, size, probe->functions[low - 1].symbol);
		return;
	}
	sprint_symbol_no_offset(name, c->address);
	name[strcspn(name, " ")] = 0; /* a module's name follows */
	sw_copy_key(c, to, size, name);
}

const struct sw_hook_ops sw_ftrace_ops = {
	.attach = ftrace_hook_attach,
	.detach_many = ftrace_hook_detach_many,
	.follow = ftrace_hook_follow,
	.missed = ftrace_hook_missed,
	.explain = sw_unsafe_explain,
	.probed_function = ftrace_probed_function,
};
