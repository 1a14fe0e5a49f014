// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An instruction of a function: the kprobe's pre-handler is the script's handler. It is
 * registered disabled: then its address is known, and the code is as it was. The kernel
 * refuses an address at which no instruction begins.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include "probes/hook.h"

static int kprobe_hook_register(struct kprobe *k)
{
	int error;

	k->flags = KPROBE_FLAG_DISABLED;
	error = register_kprobe(k);
	if (error)
		return error;
	error = sw_unsafe_kprobe(k->addr, k->flags) ?: enable_kprobe(k);
	if (error)
		unregister_kprobe(k);
	return error;
}

/*
 * The kernel proper's code is one piece, so the compiler knows the distance from a function
 * whose address a module can take, as in ftrace_part.c. A name may be that of several functions.
 */
static void kprobe_hook_place(struct kprobe *k, const struct sw_probe *probe)
{
	s64 offset = probe->kprobe.offset;

	if (offset && !sw_module_length(probe->symbol)) {
		k->addr = (kprobe_opcode_t *)((unsigned long)register_ftrace_function + offset);
	} else {
		k->symbol_name = probe->symbol;
		k->offset = offset;
	}
}

static int kprobe_hook_attach(struct sw_attachment *a)
{
	struct kprobe *k = sw_hook_alloc(sizeof(*k));
	int error;

	if (!k)
		return -ENOMEM;
	kprobe_hook_place(k, a->probe);
	/* sw_kprobe_handler, with our names for the kernel's types */
	k->pre_handler = (kprobe_pre_handler_t)a->probe->handler;
	error = sw_unsafe_name(a->probe->symbol) ? SW_UNSAFE
						 : sw_unsafe_function(k->symbol_name, k->offset);
	if (!error)
		error = kprobe_hook_register(k);
	if (error) {
		sw_hook_free(k, sizeof(*k));
		return error;
	}
	a->hook = k;
	return 0;
}

/* A handler on another CPU may add to it meanwhile. */
static u64 kprobe_hook_missed(const struct sw_attachment *a)
{
	const struct kprobe *k = a->hook;

	return READ_ONCE(k->nmissed);
}

static unsigned long kprobe_hook_address(const struct sw_attachment *a)
{
	return (unsigned long)((const struct kprobe *)a->hook)->addr;
}

/*
 * unregister_kprobes() waits for an RCU grace period, once for all of them, and
 * handlers run with preemption off: none runs when it returns, and the counters are
 * final.
 */
static void kprobe_hook_detach_many(struct sw_attachment *const *set, u32 count, void **room)
{
	struct kprobe **probes = (struct kprobe **)room;
	u32 i;

	for (i = 0; i < count; i++)
		probes[i] = set[i]->hook;
	unregister_kprobes(probes, count);
	for (i = 0; i < count; i++) {
		set[i]->missed += probes[i]->nmissed;
		sw_hook_free(probes[i], sizeof(*probes[i]));
	}
}

const struct sw_hook_ops sw_kprobe_ops = {
	.attach = kprobe_hook_attach,
	.detach_many = kprobe_hook_detach_many,
	.address = kprobe_hook_address,
	.missed = kprobe_hook_missed,
	.explain = sw_unsafe_explain,
};
