// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A function's return, with the bytes that an entry handler keeps for it. The kernel
 * calls the script's handlers directly.
 */
#include <linux/kprobes.h>
#include "probes/hook.h"
#include "probes/kernel_counter.h"

/*
 * Calls of one function that can be in progress at once; others are missed, and
 * counted.
 */
#define KRETPROBE_LEAST_ACTIVE 256
#define KRETPROBE_ACTIVE_A_CPU 4

struct kretprobe_hook {
	struct kretprobe probe;
	struct sw_kernel_counter without_instance; /* probe.nmissed; under hook.c's mutex */
	size_t instances;			   /* bytes that the kernel allocates */
};

/* Disabled at first, as in kprobe.c. */
static int kretprobe_hook_register(struct kretprobe *r)
{
	int error;

	error = sw_unsafe_name(r->kp.symbol_name) ? SW_UNSAFE
						  : sw_unsafe_function(r->kp.symbol_name, 0);
	if (error)
		return error;
	r->kp.flags = KPROBE_FLAG_DISABLED;
	error = register_kretprobe(r);
	if (error)
		return error;
	error = sw_unsafe_kprobe(r->kp.addr, r->kp.flags) ?: enable_kretprobe(r);
	if (error)
		unregister_kretprobe(r);
	return error;
}

static int kretprobe_hook_attach(struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	struct kretprobe_hook *r = sw_hook_alloc(sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->probe.kp.symbol_name = probe->symbol;
	/* sw_kretprobe_handler, with our names for the kernel's types */
	r->probe.handler = (kretprobe_handler_t)probe->handler;
	r->probe.entry_handler = (kretprobe_handler_t)probe->kretprobe.entry;
	r->probe.data_size = probe->kretprobe.data_size;
	if (probe->kretprobe.maxactive > 0)
		r->probe.maxactive = probe->kretprobe.maxactive;
	else
		r->probe.maxactive = max_t(int, KRETPROBE_LEAST_ACTIVE,
					   num_possible_cpus() * KRETPROBE_ACTIVE_A_CPU);
	r->instances = r->probe.maxactive *
		       (sizeof(struct kretprobe_instance) + probe->kretprobe.data_size);
	/* The kernel allocates them without a way to say that it may refuse. */
	error = sw_memory_check(r->instances) ?: kretprobe_hook_register(&r->probe);
	if (error) {
		sw_hook_free(r, sizeof(*r));
		return error;
	}
	sw_memory_add(r->instances);
	a->hook = r;
	return 0;
}

/*
 * Calls without an instance, of which the kernel has an int, and hits inside of another
 * kprobe. Any CPU may add to both meanwhile, without atomicity: two that miss at once
 * may count as one.
 */
static u64 kretprobe_hook_missed(const struct sw_attachment *a)
{
	struct kretprobe_hook *r = a->hook;

	return sw_kernel_counter_read(&r->without_instance, (u32)READ_ONCE(r->probe.nmissed)) +
	       READ_ONCE(r->probe.kp.nmissed);
}

static unsigned long kretprobe_hook_address(const struct sw_attachment *a)
{
	return (unsigned long)((const struct kretprobe_hook *)a->hook)->probe.kp.addr;
}

/*
 * Calls in progress return later, through instances that the kernel owns:
 * unregister_kretprobes() clears their pointers to these hooks, then waits for an RCU
 * grace period, once, that is for the handlers that run.
 */
static void kretprobe_hook_detach_many(struct sw_attachment *const *set, u32 count, void **room)
{
	struct kretprobe **probes = (struct kretprobe **)room;
	u32 i;

	for (i = 0; i < count; i++)
		probes[i] = &((struct kretprobe_hook *)set[i]->hook)->probe;
	unregister_kretprobes(probes, count);
	for (i = 0; i < count; i++) {
		struct kretprobe_hook *r = set[i]->hook;

		set[i]->missed += kretprobe_hook_missed(set[i]);
		sw_memory_add(-(s64)r->instances);
		sw_hook_free(r, sizeof(*r));
	}
}

const struct sw_hook_ops sw_kretprobe_ops = {
	.attach = kretprobe_hook_attach,
	.detach_many = kretprobe_hook_detach_many,
	.address = kretprobe_hook_address,
	.missed = kretprobe_hook_missed,
	.explain = sw_unsafe_explain,
};
