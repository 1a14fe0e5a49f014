// SPDX-License-Identifier: GPL-2.0-or-later
/* Its second hook cannot be attached, so it cannot be started. */
#define MODULE_NAME "sw_broken"
#define NR_PROBES   2
#include "script.h"

static int on_call(void *kprobe, struct sw_regs *regs)
{
	struct area *a = ENTER(0);

	if (a)
		sw_leave(&a->context);
	return 0;
}

static const struct sw_probe probes[NR_PROBES] = {
	{ .hook = SW_KPROBE, .symbol = "vfs_read", .handler = on_call },
	{ .hook = SW_KPROBE, .symbol = "no_such_function_anywhere", .handler = on_call },
};

SCRIPT(0, NULL);
