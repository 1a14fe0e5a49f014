// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Function entry by ftrace, whose trampoline calls the script's handler directly.
 * Functions that ftrace does not reach (assembly, for one) get a fallback kprobe.
 *
 * All functions of a wildcard with the same handler share one ftrace_ops, registered
 * once. The compiler knows their offsets in the kernel's text, relative to a
 * function whose address a module can take: looking a thousand names up costs ftrace
 * a thousand walks through all functions. If several functions have one name, all
 * are hooked.
 *
 * The flags tell ftrace that the handler guards itself against recursion (sw_enter()
 * does), or it would insert a helper that does it again.
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include "probes/hook.h"

struct ftrace_fallback {
	struct kprobe probe;
	struct ftrace_hook *owner;
};

struct ftrace_hook {
	struct ftrace_ops ops;
	sw_ftrace_handler *handler;
	const struct sw_function *functions;
	u32 nr_functions;
	u32 nr_traced; /* functions in the ops */
	bool registered;
	struct ftrace_fallback *fallbacks; /* for the functions that ftrace does not reach */
	struct kprobe **kprobes;	   /* those of the fallbacks that are registered */
	u32 nr_kprobes;
	size_t memory; /* of both */
	unsigned long *ips;
	s32 *errors;
	struct sw_function only; /* target of `functions` if the probe names one function */
};

/*
 * The function from which compiled code has offsets
 * (compiler/kernel/text_offsets.py): every kernel with ftrace exports it.
 */
static unsigned long ftrace_anchor(void)
{
	return (unsigned long)register_ftrace_function;
}

static unsigned long ftrace_address_of(const struct sw_function *function)
{
	return function->offset ? ftrace_anchor() + function->offset : 0;
}

/* MODULE:FUNCTION, as kprobes have it, is FUNCTION:mod:MODULE for ftrace. */
static char *ftrace_filter_of(const char *symbol)
{
	const char *function = strchr(symbol, ':');

	if (!function)
		return kstrdup(symbol, SW_GFP);
	return kasprintf(SW_GFP, "%s:mod:%.*s", function + 1, (int)(function - symbol), symbol);
}

static int ftrace_filter_symbol(struct ftrace_ops *ops, const char *symbol)
{
	char *name = ftrace_filter_of(symbol); /* ftrace parses it in place */
	int error;

	if (!name)
		return -ENOMEM;
	error = ftrace_set_filter(ops, (unsigned char *)name, strlen(name), 0);
	kfree(name);
	return error == -EINVAL ? -ENOENT : error; /* no function matches */
}

/* Adds all `ips`, which ftrace knows. */
static int ftrace_filter_ips(struct ftrace_ops *ops, unsigned long *ips, u32 count)
{
#ifdef SW_HAVE_FTRACE_SET_FILTER_IPS
	return ftrace_set_filter_ips(ops, ips, count, 0, 0);
#else
	int error = 0;
	u32 i;

	for (i = 0; i < count && !error; i++)
		error = ftrace_set_filter_ip(ops, ips[i], 0, 0);
	return error;
#endif
}

/*
 * Puts all functions that ftrace reaches into the filter. Every change of a filter
 * copies it, and a change of many functions fails if one of them is refused: so each
 * is tried in a filter of its own, and those that pass are added at once.
 */
static int ftrace_filter_all(struct ftrace_hook *f)
{
	unsigned long *ips = kvcalloc(f->nr_functions, sizeof(*ips), SW_GFP);
	struct ftrace_ops trial = { .func = f->ops.func };
	u32 i, known = 0;
	int error = 0;

	if (!ips)
		return -ENOMEM;
	for (i = 0; i < f->nr_functions && !error; i++) {
		if (sw_unsafe_name(f->functions[i].symbol)) {
			f->errors[i] = SW_UNSAFE;
		} else if (!f->ips[i]) {
			f->errors[i] = ftrace_filter_symbol(&f->ops, f->functions[i].symbol);
			f->nr_traced += !f->errors[i];
		} else {
			f->errors[i] = ftrace_set_filter_ip(&trial, f->ips[i], 0, 1);
			if (!f->errors[i])
				ips[known++] = f->ips[i];
		}
		cond_resched();
		error = sw_hook_interrupted();
	}
	ftrace_set_filter(&trial, NULL, 0, 1);
	if (known && !error)
		error = ftrace_filter_ips(&f->ops, ips, known);
	f->nr_traced += known;
	kvfree(ips);
	return error;
}

static int ftrace_fallback_hit(struct kprobe *probe, struct pt_regs *regs)
{
	struct ftrace_fallback *fallback = container_of(probe, struct ftrace_fallback, probe);

	fallback->owner->handler((unsigned long)probe->addr, 0, NULL, (struct sw_regs *)regs);
	return 0;
}

static int ftrace_fallback_register(struct ftrace_hook *f, u32 index)
{
	struct ftrace_fallback *fallback = &f->fallbacks[f->nr_kprobes];
	int error;

	memset(fallback, 0, sizeof(*fallback));
	if (f->ips[index])
		fallback->probe.addr = (kprobe_opcode_t *)f->ips[index];
	else
		fallback->probe.symbol_name = f->functions[index].symbol;
	fallback->probe.pre_handler = ftrace_fallback_hit;
	fallback->probe.flags = KPROBE_FLAG_DISABLED;
	fallback->owner = f;
	error = register_kprobe(&fallback->probe);
	if (error)
		return error;
	error = sw_unsafe_kprobe(fallback->probe.addr, fallback->probe.flags);
	if (error)
		unregister_kprobe(&fallback->probe);
	else
		f->kprobes[f->nr_kprobes++] = &fallback->probe;
	return error;
}

static bool ftrace_is_out_of_reach(int error)
{
	return error == -ENOENT || error == -EINVAL;
}

/*
 * Kprobes for the functions that ftrace does not reach. All are registered before
 * the first is enabled: each one that is enabled starts the kernel's optimiser, and
 * registering another one waits for that, which takes until all tasks have been
 * scheduled.
 */
static int ftrace_attach_fallbacks(struct ftrace_hook *f)
{
	u32 i, count = 0;
	int error = 0;

	for (i = 0; i < f->nr_functions; i++)
		count += ftrace_is_out_of_reach(f->errors[i]);
	if (!count)
		return 0;
	f->fallbacks = kvcalloc(count, sizeof(*f->fallbacks), SW_GFP);
	f->kprobes = kvcalloc(count, sizeof(*f->kprobes), SW_GFP);
	if (!f->fallbacks || !f->kprobes)
		return -ENOMEM;
	for (i = 0; i < f->nr_functions && !error; i++) {
		if (ftrace_is_out_of_reach(f->errors[i]))
			f->errors[i] = ftrace_fallback_register(f, i);
		error = sw_hook_interrupted();
	}
	for (i = 0; i < f->nr_kprobes && !error; i++)
		error = enable_kprobe(f->kprobes[i]) ?: sw_hook_interrupted();
	f->memory = count * (sizeof(*f->fallbacks) + sizeof(*f->kprobes));
	sw_memory_add(f->memory);
	return error;
}

/* An empty filter frees the old one; ftrace_free_filter() is not exported everywhere. */
static void ftrace_hook_free(struct ftrace_hook *f)
{
	ftrace_set_filter(&f->ops, NULL, 0, 1);
	kvfree(f->ips);
	kvfree(f->errors);
	kvfree(f->fallbacks);
	kvfree(f->kprobes);
	sw_memory_add(-(s64)f->memory);
	sw_hook_free(f, sizeof(*f));
}

static struct ftrace_hook *ftrace_hook_alloc(const struct sw_probe *probe)
{
	struct ftrace_hook *f = sw_hook_alloc(sizeof(*f));
	u32 i;

	if (!f)
		return NULL;
	f->only.symbol = probe->symbol;
	f->only.offset = probe->ftrace.offset;
	f->functions = probe->nr_functions ? probe->functions : &f->only;
	f->nr_functions = probe->nr_functions ?: 1;
	f->handler = probe->handler;
	f->ips = kvcalloc(f->nr_functions, sizeof(*f->ips), SW_GFP);
	f->errors = kvcalloc(f->nr_functions, sizeof(*f->errors), SW_GFP);
	if (!f->ips || !f->errors) {
		ftrace_hook_free(f);
		return NULL;
	}
	for (i = 0; i < f->nr_functions; i++)
		f->ips[i] = ftrace_address_of(&f->functions[i]);
	/* sw_ftrace_handler, with our names for the kernel's types */
	f->ops.func = (ftrace_func_t)f->handler;
	f->ops.flags = SW_FTRACE_ARGUMENTS | SW_FTRACE_GUARDED;
	return f;
}

/*
 * Also detaches what a failed attach has left. A task can sit in the trampoline,
 * before or behind the handler's own preempt-off section, so no RCU grace period is
 * enough. ftrace sees that the ops are allocated (FTRACE_OPS_FL_DYNAMIC), so
 * unregister_ftrace_function() has every CPU schedule, and with a preemptible kernel
 * every task, before it returns. unregister_kprobes() waits for a grace period once
 * for all fallbacks; then their counters are final.
 */
static void ftrace_hook_detach(struct sw_attachment *a)
{
	struct ftrace_hook *f = a->hook;
	u32 i;

	if (f->registered)
		unregister_ftrace_function(&f->ops);
	unregister_kprobes(f->kprobes, f->nr_kprobes);
	for (i = 0; i < f->nr_kprobes; i++)
		a->missed += f->kprobes[i]->nmissed;
	ftrace_hook_free(f);
}

/* Reports the status of each function. It is an error only if none is hooked. */
static int ftrace_conclude(struct sw_attachment *a)
{
	const struct ftrace_hook *f = a->hook;
	u32 i, hooked = 0;

	for (i = 0; i < f->nr_functions; i++) {
		hooked += !f->errors[i];
		if (a->probe->nr_functions)
			sw_hook_set_status(a, i, f->functions[i].symbol, f->errors[i]);
	}
	return hooked ? 0 : f->errors[0];
}

static int ftrace_hook_attach(struct sw_attachment *a)
{
	struct ftrace_hook *f = ftrace_hook_alloc(a->probe);
	int error;

	if (!f)
		return -ENOMEM;
	a->hook = f;
	f->ops.private = a;
	error = ftrace_filter_all(f);
	/* An empty filter means all functions: with nothing in it, it must not be registered. */
	if (!error && f->nr_traced)
		error = register_ftrace_function(&f->ops);
	f->registered = f->nr_traced && !error;
	if (!error)
		error = ftrace_attach_fallbacks(f);
	error = error ?: ftrace_conclude(a);
	if (error)
		sw_hook_undo(a);
	return error;
}

/* Only fallbacks miss hits: those inside of another kprobe. */
static u64 ftrace_hook_missed(const struct sw_attachment *a)
{
	const struct ftrace_hook *f = a->hook;
	u64 missed = 0;
	u32 i;

	for (i = 0; i < f->nr_kprobes; i++)
		missed += READ_ONCE(f->kprobes[i]->nmissed);
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
	u64 offset = c->address - ftrace_anchor();
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
	.detach = ftrace_hook_detach,
	.missed = ftrace_hook_missed,
	.explain = sw_unsafe_explain,
	.probed_function = ftrace_probed_function,
};
