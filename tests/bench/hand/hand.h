/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that the hand-written modules share: attaching to vfs_read or sys_enter, and
 * /sys/module/NAME/parameters/events, the number of events that the module has counted.
 *
 * A module defines `u64 hand_events(void)`. Handlers must be safe on any CPU, in any
 * context, and when one interrupts another.
 */
#ifndef HAND_H
#define HAND_H

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/tracepoint.h>

#define HAND_FUNCTION	"vfs_read"
#define HAND_TRACEPOINT "sys_enter"

static u64 hand_events(void);

static int hand_get(char *text, const struct kernel_param *parameter)
{
	return sprintf(text, "%llu\n", hand_events());
}

static const struct kernel_param_ops hand_parameter = { .get = hand_get };
module_param_cb(events, &hand_parameter, NULL, 0400);

/* 6.2 made the registers private to these accessors. */
#ifndef ftrace_regs_get_argument
#define ftrace_regs_get_argument(fregs, n) hand_argument(&(fregs)->regs, n)
static __always_inline unsigned long hand_argument(struct pt_regs *regs, int n)
{
	return regs_get_kernel_argument(regs, n);
}
#endif

static __maybe_unused int hand_place_function(struct ftrace_ops *ops)
{
	char name[] = HAND_FUNCTION;
	int error = ftrace_set_filter(ops, name, strlen(name), 1);

	return error ?: register_ftrace_function(ops);
}

static __maybe_unused void hand_remove_function(struct ftrace_ops *ops)
{
	unregister_ftrace_function(ops);
	ftrace_set_filter(ops, NULL, 0, 1); /* frees the filter */
}

static struct tracepoint *hand_tracepoint;

static void hand_look_at(struct tracepoint *point, void *data)
{
	if (!strcmp(point->name, HAND_TRACEPOINT))
		hand_tracepoint = point;
}

static __maybe_unused int hand_place_tracepoint(void *handler)
{
	for_each_kernel_tracepoint(hand_look_at, NULL);
	return hand_tracepoint ? tracepoint_probe_register(hand_tracepoint, handler, NULL)
			       : -ENOENT;
}

static __maybe_unused void hand_remove_tracepoint(void *handler)
{
	tracepoint_probe_unregister(hand_tracepoint, handler, NULL);
	tracepoint_synchronize_unregister();
}

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a hand-written module to compare with");

#endif
