// SPDX-License-Identifier: GPL-2.0-or-later
/* kprobe.c - any instruction: the pre-handler is the script's handler. Unregistering waits for it.
 */
#include <linux/kprobes.h>
#include "probes/hook.h"

static int kprobe_place(struct sw_placement *p)
{
	struct kprobe *k = sw_hook_alloc(sizeof(*k));
	int error;

	if (!k)
		return -ENOMEM;
	k->symbol_name = p->probe->symbol;
	k->offset = p->probe->offset;
	/* int (*)(void *, struct sw_regs *) with our names for the kernel's types */
	k->pre_handler = (kprobe_pre_handler_t)p->probe->handler;
	error = register_kprobe(k);
	if (error) {
		sw_hook_free(k, sizeof(*k));
		return error;
	}
	p->hook = k;
	return 0;
}

static u64 kprobe_missed(const struct sw_placement *p)
{
	const struct kprobe *k = p->hook;

	return READ_ONCE(k->nmissed);
}

static void kprobe_remove(struct sw_placement *p)
{
	struct kprobe *k = p->hook;

	unregister_kprobe(k);
	p->missed += k->nmissed;
	sw_hook_free(k, sizeof(*k));
}

const struct sw_hook_ops sw_kprobe_hook = {
	.place = kprobe_place,
	.remove = kprobe_remove,
	.missed = kprobe_missed,
};
