// SPDX-License-Identifier: GPL-2.0-or-later
/* One read() of the target process hits every kind of hook; each counts it. */
#define MODULE_NAME "sw_reads"
#define NR_PROBES   9
#include "script.h"

enum { BEGIN, ENTRY, INSIDE, RETURNED, SYSCALL, END, ABSENT, LATE_BEGIN, FAILED };

/* words: 0..3 hits by probe, 4 sum of requested sizes, 5 bytes returned, 6 sum of latencies */

static void on_begin(void)
{
	struct area *a = ENTER(BEGIN);

	if (!a)
		return;
	PREPARE(a, BEGIN, NULL);
	print_long(a, 1, sw_target());
	leave(a, BEGIN);
}

static void on_late_begin(void)
{
	struct area *a = ENTER(LATE_BEGIN);

	if (!a)
		return;
	PREPARE(a, LATE_BEGIN, NULL);
	print_long(a, 2, *(u64 *)((struct shared *)sw_shared)->words);
	leave(a, LATE_BEGIN);
}

static void on_entry(unsigned long ip, unsigned long parent_ip, void *ops, struct sw_regs *regs)
{
	struct area *a = ENTER(ENTRY);

	if (!a)
		return;
	if (sw_pid() == sw_target()) {
		a->words[0]++;
		a->words[4] += SW_ARG2(regs);
	}
	sw_leave(&a->context);
}

static int on_inside(void *kprobe, struct sw_regs *regs)
{
	struct area *a = ENTER(INSIDE);

	if (!a)
		return 0;
	if (sw_pid() == sw_target())
		a->words[1]++;
	sw_leave(&a->context);
	return 0;
}

static int on_call(void *instance, struct sw_regs *regs)
{
	if (sw_pid() != sw_target())
		return 1;
	*(u64 *)SW_RETURN_DATA(instance) = sw_clock_monotonic();
	return 0;
}

static int on_return(void *instance, struct sw_regs *regs)
{
	struct area *a = ENTER(RETURNED);

	if (!a)
		return 0;
	a->words[2]++;
	a->words[5] += SW_RETURN_VALUE(regs);
	a->words[6] += sw_clock_monotonic() - *(u64 *)SW_RETURN_DATA(instance);
	sw_leave(&a->context);
	return 0;
}

static void on_syscall(void *data, struct sw_regs *regs, long number)
{
	struct area *a = ENTER(SYSCALL);

	if (!a)
		return;
	PREPARE(a, SYSCALL, regs);
	if (number == 0 && sw_pid() == sw_target()) {
		char name[SW_COMM_SIZE];
		u8 *p;

		a->words[3]++;
		sw_execname(name);
		p = sw_event_begin(&a->context, SW_EVENT_PRINT, 3,
				   8 + sw_string_room(SW_COMM_SIZE));
		if (p) {
			p = sw_event_long(p, (s64)a->words[3]);
			p = sw_event_string(p, name, SW_COMM_SIZE);
			sw_event_commit(&a->context, p);
		}
	}
	leave(a, SYSCALL);
}

static void on_end(void)
{
	struct area *a = ENTER(END);
	u64 total = 0;
	u32 lane;

	if (!a)
		return;
	PREPARE(a, END, NULL);
	sw_for_each_lane(lane)
		total += ((struct area *)sw_lane_areas[lane])->words[0];
	print_long(a, 4, (s64)total);
	leave(a, END);
}

static void on_error(void)
{
}

static const struct sw_probe probes[NR_PROBES] = {
	[BEGIN] = { .hook = SW_BEGIN, .handler = on_begin },
	[ENTRY] = { .hook = SW_FTRACE, .symbol = "vfs_read", .handler = on_entry },
	[INSIDE] = { .hook = SW_KPROBE, .symbol = "ksys_read", .handler = on_inside },
	[RETURNED] = { .hook = SW_KRETPROBE,
		       .symbol = "vfs_read",
		       .handler = on_return,
		       .kretprobe = { .entry = on_call, .data_size = 8 } },
	[SYSCALL] = { .hook = SW_TRACEPOINT, .symbol = "sys_enter", .handler = on_syscall },
	[END] = { .hook = SW_END, .handler = on_end },
	[ABSENT] = { .hook = SW_FTRACE,
		     .flags = SW_PROBE_OPTIONAL,
		     .symbol = "no_such_function_anywhere",
		     .handler = on_entry },
	[LATE_BEGIN] = { .hook = SW_BEGIN, .session = { .order = 10 }, .handler = on_late_begin },
	[FAILED] = { .hook = SW_ERROR, .handler = on_error },
};

static void start(void *shared)
{
	((struct shared *)shared)->words[0] = 42;
}

SCRIPT(1 << 20, start);
