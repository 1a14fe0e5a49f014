// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * function.c - function entry by ftrace: the trampoline calls the script's handler straight. Where
 * ftrace does not reach a function (assembly, for one), a kprobe does.
 *
 * All functions of a wildcard that have the same handler share one ops, armed in one go. The
 * compiler gives their places in the kernel's text, relative to a function that modules can name:
 * looking a thousand names up costs ftrace a thousand walks through all functions. Of several
 * functions of one name all are hooked.
 *
 * ftrace is told that we guard against recursion ourselves (sw_enter does), and not to insert a
 * helper that would do it. Removing an ops waits for every task to leave its trampoline and the
 * handler.
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include "probes/hook.h"

struct stand_in {
	struct kprobe probe;
	struct function *owner;
};

struct function {
	struct ftrace_ops ops;
	sw_ftrace_handler *handler;
	const struct sw_function *functions;
	u32 nr_functions;
	u32 nr_traced; /* functions in the ops */
	bool registered;
	struct stand_in *stand_ins; /* for the functions that ftrace does not reach */
	struct kprobe **kprobes;    /* those of the stand-ins that are registered */
	u32 nr_kprobes;
	size_t memory; /* of both */
	unsigned long *ips;
	s32 *errors;
	struct sw_function only; /* what `functions` is where the probe names one */
};

/* Compiled code has offsets from this one (compiler/kernel/text_offsets.py): every kernel with
 * ftrace exports it. */
static unsigned long anchor(void)
{
	return (unsigned long)register_ftrace_function;
}

static unsigned long address_of(const struct sw_function *f)
{
	return f->offset ? anchor() + f->offset : 0;
}

/* MODULE:FUNCTION, as kprobes have it, is FUNCTION:mod:MODULE to ftrace. */
static char *filter_of(const char *symbol)
{
	const char *function = strchr(symbol, ':');

	if (!function)
		return kstrdup(symbol, GFP_KERNEL);
	return kasprintf(GFP_KERNEL, "%s:mod:%.*s", function + 1, (int)(function - symbol), symbol);
}

static int set_filter(struct ftrace_ops *ops, const char *symbol)
{
	char *name = filter_of(symbol); /* ftrace parses it in place */
	int error;

	if (!name)
		return -ENOMEM;
	error = ftrace_set_filter(ops, (unsigned char *)name, strlen(name), 0);
	kfree(name);
	return error == -EINVAL ? -ENOENT : error; /* no function matches */
}

/* Adds all `ips`, which ftrace knows. */
static int set_filter_ips(struct ftrace_ops *ops, unsigned long *ips, u32 count)
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
 * Puts all functions that ftrace reaches into the filter. Every change of a filter copies it, and
 * one function that is refused makes a change of many fail: so each is tried in a filter of its
 * own.
 */
static int trace_all(struct function *f)
{
	unsigned long *ips = kvcalloc(f->nr_functions, sizeof(*ips), GFP_KERNEL);
	struct ftrace_ops trial = { .func = f->ops.func };
	u32 i, known = 0;
	int error = 0;

	if (!ips)
		return -ENOMEM;
	for (i = 0; i < f->nr_functions; i++) {
		if (!f->ips[i]) {
			f->errors[i] = set_filter(&f->ops, f->functions[i].symbol);
			f->nr_traced += !f->errors[i];
		} else {
			f->errors[i] = ftrace_set_filter_ip(&trial, f->ips[i], 0, 1);
			if (!f->errors[i])
				ips[known++] = f->ips[i];
		}
		cond_resched();
	}
	ftrace_set_filter(&trial, NULL, 0, 1);
	if (known)
		error = set_filter_ips(&f->ops, ips, known);
	f->nr_traced += known;
	kvfree(ips);
	return error;
}

static int on_kprobe(struct kprobe *probe, struct pt_regs *regs)
{
	struct stand_in *s = container_of(probe, struct stand_in, probe);

	s->owner->handler((unsigned long)probe->addr, 0, NULL, (struct sw_regs *)regs);
	return 0;
}

static int stand_in(struct function *f, u32 index)
{
	struct stand_in *s = &f->stand_ins[f->nr_kprobes];
	int error;

	memset(s, 0, sizeof(*s));
	if (f->ips[index])
		s->probe.addr = (kprobe_opcode_t *)f->ips[index];
	else
		s->probe.symbol_name = f->functions[index].symbol;
	s->probe.pre_handler = on_kprobe;
	s->probe.flags = KPROBE_FLAG_DISABLED;
	s->owner = f;
	error = register_kprobe(&s->probe);
	if (!error)
		f->kprobes[f->nr_kprobes++] = &s->probe;
	return error;
}

static bool is_out_of_reach(int error)
{
	return error == -ENOENT || error == -EINVAL;
}

/*
 * Kprobes for what ftrace refused. All are registered before the first is armed: each that is armed
 * sets the kernel optimising, which holds new ones up for as long as all tasks take to schedule.
 */
static int place_stand_ins(struct function *f)
{
	u32 i, count = 0;
	int error = 0;

	for (i = 0; i < f->nr_functions; i++)
		count += is_out_of_reach(f->errors[i]);
	if (!count)
		return 0;
	f->stand_ins = kvcalloc(count, sizeof(*f->stand_ins), GFP_KERNEL);
	f->kprobes = kvcalloc(count, sizeof(*f->kprobes), GFP_KERNEL);
	if (!f->stand_ins || !f->kprobes)
		return -ENOMEM;
	for (i = 0; i < f->nr_functions; i++)
		if (is_out_of_reach(f->errors[i]))
			f->errors[i] = stand_in(f, i);
	for (i = 0; i < f->nr_kprobes && !error; i++)
		error = enable_kprobe(f->kprobes[i]);
	sw_memory_add(count * (sizeof(*f->stand_ins) + sizeof(*f->kprobes)));
	f->memory = count * (sizeof(*f->stand_ins) + sizeof(*f->kprobes));
	return error;
}

/* Setting no filter frees the old one; ftrace_free_filter() is not exported everywhere. */
static void function_free(struct function *f)
{
	ftrace_set_filter(&f->ops, NULL, 0, 1);
	kvfree(f->ips);
	kvfree(f->errors);
	kvfree(f->stand_ins);
	kvfree(f->kprobes);
	sw_memory_add(-(s64)f->memory);
	sw_hook_free(f, sizeof(*f));
}

static struct function *function_alloc(const struct sw_probe *probe)
{
	struct function *f = sw_hook_alloc(sizeof(*f));
	u32 i;

	if (!f)
		return NULL;
	f->only.symbol = probe->symbol;
	f->only.offset = probe->offset;
	f->functions = probe->nr_functions ? probe->functions : &f->only;
	f->nr_functions = probe->nr_functions ?: 1;
	f->handler = probe->handler;
	f->ips = kvcalloc(f->nr_functions, sizeof(*f->ips), GFP_KERNEL);
	f->errors = kvcalloc(f->nr_functions, sizeof(*f->errors), GFP_KERNEL);
	if (!f->ips || !f->errors) {
		function_free(f);
		return NULL;
	}
	for (i = 0; i < f->nr_functions; i++)
		f->ips[i] = address_of(&f->functions[i]);
	/* sw_ftrace_handler with our names for the kernel's types */
	f->ops.func = (ftrace_func_t)f->handler;
	f->ops.flags = SW_FTRACE_ARGUMENTS | SW_FTRACE_GUARDED;
	return f;
}

static void function_remove(struct sw_placement *p);

/* Tells each function's status. An error only when none is hooked. */
static int conclude(struct sw_placement *p)
{
	const struct function *f = p->hook;
	u32 i, placed = 0;

	for (i = 0; i < f->nr_functions; i++) {
		placed += !f->errors[i];
		if (p->probe->nr_functions)
			sw_hook_tell(p, i, f->functions[i].symbol, f->errors[i]);
	}
	return placed ? 0 : f->errors[0];
}

static int function_place(struct sw_placement *p)
{
	struct function *f = function_alloc(p->probe);
	int error;

	if (!f)
		return -ENOMEM;
	p->hook = f;
	f->ops.private = p;
	error = trace_all(f);
	if (!error && f->nr_traced)
		error = register_ftrace_function(&f->ops);
	f->registered = f->nr_traced && !error;
	if (!error)
		error = place_stand_ins(f);
	error = error ?: conclude(p);
	if (error) {
		function_remove(p);
		p->hook = NULL;
	}
	return error;
}

static void function_remove(struct sw_placement *p)
{
	struct function *f = p->hook;
	u32 i;

	if (f->registered)
		unregister_ftrace_function(&f->ops);
	unregister_kprobes(f->kprobes, f->nr_kprobes);
	for (i = 0; i < f->nr_kprobes; i++)
		p->missed += f->kprobes[i]->nmissed;
	function_free(f);
}

static u64 function_missed(const struct sw_placement *p)
{
	const struct function *f = p->hook;
	u64 missed = 0;
	u32 i;

	for (i = 0; i < f->nr_kprobes; i++)
		missed += READ_ONCE(f->kprobes[i]->nmissed);
	return missed;
}

/*
 * The functions are in the order of their places, those of unknown place first. What ftrace tells
 * is the call at a function's start, behind an instruction that marks jump targets.
 */
#define START 16

void sw_probed_function(struct sw_context *c, char *to, u32 size)
{
	const struct sw_probe *probe = &sw_script.probes[c->probe];
	u64 offset = c->address - anchor();
	u32 low = 0, high = probe->nr_functions;
	char name[KSYM_SYMBOL_LEN];

	if (probe->binary) {
		sw_copy_key(c, to, size, probe->functions[c->address % high].symbol);
		return;
	}
	while (low < high) {
		u32 middle = (low + high) / 2;

		if ((s64)probe->functions[middle].offset <= (s64)offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && probe->functions[low - 1].offset &&
	    offset - probe->functions[low - 1].offset < START) {
		sw_copy_key(c, to, size, probe->functions[low - 1].symbol);
		return;
	}
	sprint_symbol_no_offset(name, c->address);
	name[strcspn(name, " ")] = 0; /* a module's name follows */
	sw_copy_key(c, to, size, name);
}

const struct sw_hook_ops sw_function_hook = {
	.place = function_place,
	.remove = function_remove,
	.missed = function_missed,
};
