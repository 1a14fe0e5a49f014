// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * function.c - function entry by ftrace: the trampoline calls the script's handler straight. Where
 * ftrace does not reach a function (assembly, for one), a kprobe does.
 *
 * ftrace is told that we guard against recursion ourselves (sw_enter does), and not to insert a
 * helper that would do it. Removing an ops waits for every task to leave its trampoline and the
 * handler.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include "hook.h"

/* `ops` of one handler: one filter entry today, as many as a wildcard has functions later. */
struct function {
	struct ftrace_ops ops;
	struct kprobe probe;
	sw_ftrace_handler *handler;
	bool by_kprobe;
};

static int on_kprobe(struct kprobe *probe, struct pt_regs *regs)
{
	struct function *f = container_of(probe, struct function, probe);

	f->handler((unsigned long)probe->addr, 0, NULL, (struct sw_regs *)regs);
	return 0;
}

static int place_kprobe(struct function *f, const char *symbol)
{
	f->probe.symbol_name = symbol;
	f->probe.pre_handler = on_kprobe;
	f->by_kprobe = true;
	return register_kprobe(&f->probe);
}

static int set_filter(struct ftrace_ops *ops, const char *symbol)
{
	char *name = kstrdup(symbol, GFP_KERNEL); /* ftrace parses it in place */
	int error;

	if (!name)
		return -ENOMEM;
	error = ftrace_set_filter(ops, (unsigned char *)name, strlen(name), 1);
	kfree(name);
	return error == -EINVAL ? -ENOENT : error; /* no function matches */
}

/* Setting no filter frees the old one; ftrace_free_filter() is not exported everywhere. */
static void function_free(struct function *f)
{
	ftrace_set_filter(&f->ops, NULL, 0, 1);
	sw_hook_free(f, sizeof(*f));
}

static int function_place(struct sw_placement *p)
{
	struct function *f = sw_hook_alloc(sizeof(*f));
	int error;

	if (!f)
		return -ENOMEM;
	/* sw_ftrace_handler with our names for the kernel's types */
	f->ops.func = (ftrace_func_t)p->probe->handler;
	f->ops.private = p;
	f->ops.flags = SW_FTRACE_ARGUMENTS | SW_FTRACE_GUARDED;
	f->handler = p->probe->handler;
	error = set_filter(&f->ops, p->probe->symbol);
	if (!error)
		error = register_ftrace_function(&f->ops);
	else if (error == -ENOENT)
		error = place_kprobe(f, p->probe->symbol);
	if (error) {
		function_free(f);
		return error;
	}
	p->hook = f;
	return 0;
}

static void function_remove(struct sw_placement *p)
{
	struct function *f = p->hook;

	if (f->by_kprobe) {
		unregister_kprobe(&f->probe);
		p->missed += READ_ONCE(f->probe.nmissed);
	} else {
		unregister_ftrace_function(&f->ops);
	}
	function_free(f);
}

static u64 function_missed(const struct sw_placement *p)
{
	const struct function *f = p->hook;

	return f->by_kprobe ? READ_ONCE(f->probe.nmissed) : 0;
}

const struct sw_hook_ops sw_function_hook = {
	.place = function_place,
	.remove = function_remove,
	.missed = function_missed,
};
