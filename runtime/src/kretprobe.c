// SPDX-License-Identifier: GPL-2.0-or-later
/* kretprobe.c - function return, with the bytes that an entry handler keeps for it. */
#include <linux/kprobes.h>
#include "hook.h"

/* Calls of one function that may be under way at once; more are missed, and counted. */
#define LEAST_ACTIVE 256
#define ACTIVE_A_CPU 4

struct returns {
	struct kretprobe probe;
	void (*handler)(struct sw_regs *regs, void *data);
	int (*entry)(struct sw_regs *regs, void *data);
	size_t instances; /* bytes that the kernel allocates */
};

static struct returns *returns_of(struct kretprobe_instance *instance)
{
	struct kretprobe *probe = sw_kretprobe_of(instance);

	return probe ? container_of(probe, struct returns, probe) : NULL;
}

static int on_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct returns *r = returns_of(instance);

	return !r || r->entry((struct sw_regs *)regs, instance->data);
}

static int on_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct returns *r = returns_of(instance);

	if (r)
		r->handler((struct sw_regs *)regs, instance->data);
	return 0;
}

static int kretprobe_place(struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	struct returns *r = sw_hook_alloc(sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->handler = probe->handler;
	r->entry = probe->entry;
	r->probe.kp.symbol_name = probe->symbol;
	r->probe.handler = on_return;
	r->probe.entry_handler = probe->entry ? on_entry : NULL;
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
