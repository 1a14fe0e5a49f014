// SPDX-License-Identifier: GPL-2.0-or-later
/* The bare hook at a function's entry: ftrace's trampoline and an empty handler. */
#include "hand.h"

static u64 hand_events(void)
{
	return 0;
}

static void on_call(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		    struct ftrace_regs *regs)
{
}

static struct ftrace_ops ops = { .func = on_call };

static int __init hand_init(void)
{
	return hand_place_function(&ops);
}

static void __exit hand_exit(void)
{
	hand_remove_function(&ops);
}

module_init(hand_init);
module_exit(hand_exit);
