// SPDX-License-Identifier: GPL-2.0-or-later
/* The bare hook at a function's return: a kretprobe with empty handlers and data for a time. */
#include "hand.h"

static u64 hand_events(void)
{
	return 0;
}

static int on_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return 0;
}

static int on_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = HAND_FUNCTION,
	.entry_handler = on_entry,
	.handler = on_return,
	.data_size = sizeof(u64),
	.maxactive = 256,
};

static int __init hand_init(void)
{
	return register_kretprobe(&probe);
}

static void __exit hand_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(hand_init);
module_exit(hand_exit);
