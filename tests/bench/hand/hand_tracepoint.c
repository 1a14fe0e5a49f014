// SPDX-License-Identifier: GPL-2.0-or-later
/* The bare hook at a tracepoint: an empty handler at sys_enter. */
#include "hand.h"

static u64 hand_events(void)
{
	return 0;
}

static void on_enter(void *data, struct pt_regs *regs, long number)
{
}

static int __init hand_init(void)
{
	return hand_place_tracepoint(on_enter);
}

static void __exit hand_exit(void)
{
	hand_remove_tracepoint(on_enter);
}

module_init(hand_init);
module_exit(hand_exit);
