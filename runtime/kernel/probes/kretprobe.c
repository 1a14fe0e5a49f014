// SPDX-License-Identifier: GPL-2.0-or-later
/* kretprobe.c - function return, with the bytes that an entry handler keeps for it. The kernel
 * calls the script's handlers straight. */
#include <linux/kprobes.h>
#include "probes/hook.h"

/* Calls of one function that may be under way at once; more are missed, and counted. */
#define LEAST_ACTIVE 256
#define ACTIVE_A_CPU 4

struct returns {
	struct kretprobe probe;
	size_t instances; /* bytes that the kernel allocates */
};

static int kretprobe_place(struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	struct returns *r = sw_hook_alloc(sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->probe.kp.symbol_name = probe->symbol;
	/* kretprobe_handler_t with our names for the kernel's types */
	r->probe.handler = (kretprobe_handler_t)probe->handler;
	r->probe.entry_handler = (kretprobe_handler_t)probe->entry;
	r->probe.data_size = probe->data_size;
	r->probe.maxactive = probe->number > 0
				     ? probe->number
				     : max_t(int, LEAST_ACTIVE, ACTIVE_A_CPU *num_possible_cpus());
	r->instances = r->probe.maxactive * (sizeof(struct kretprobe_instance) + probe->data_size);
	error = register_kretprobe(&r->probe);
	if (error) {
		sw_hook_free(r, sizeof(*r));
		return error;
	}
	sw_memory_add(r->instances);
	p->hook = r;
	return 0;
}

static u64 kretprobe_missed(const struct sw_placement *p)
{
	const struct returns *r = p->hook;

	return (u64)READ_ONCE(r->probe.nmissed) + READ_ONCE(r->probe.kp.nmissed);
}

/* Calls still under way return later without us: the kernel forgets the handler, and waits for
 * running ones. */
static void kretprobe_remove(struct sw_placement *p)
{
	struct returns *r = p->hook;

	unregister_kretprobe(&r->probe);
	p->missed += kretprobe_missed(p);
	sw_memory_add(-(s64)r->instances);
	sw_hook_free(r, sizeof(*r));
}

const struct sw_hook_ops sw_kretprobe_hook = {
	.place = kretprobe_place,
	.remove = kretprobe_remove,
	.missed = kretprobe_missed,
};
