// SPDX-License-Identifier: GPL-2.0-or-later
/* The bare hooks at the entry and the return of a program's function: empty handlers. */
#include "hand_user.h"

static u64 hand_events(void)
{
	return 0;
}

static int on_call(struct uprobe_consumer *consumer, struct pt_regs *regs SW_UPROBE_DATA)
{
	return 0;
}

static int on_return(struct uprobe_consumer *consumer, unsigned long function,
		     struct pt_regs *regs SW_UPROBE_DATA)
{
	return 0;
}

static struct uprobe_consumer consumer = { .handler = on_call, .ret_handler = on_return };

static int __init hand_init(void)
{
	return hand_place_user(&consumer);
}

static void __exit hand_exit(void)
{
	hand_remove_user(&consumer);
}

module_init(hand_init);
module_exit(hand_exit);
