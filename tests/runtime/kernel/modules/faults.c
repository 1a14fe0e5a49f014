// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Handlers that follow bad pointers, and one that hits itself. The size of the target's
 * read() selects what happens.
 */
#define MODULE_NAME "sw_faults"
#define NR_PROBES   4
#include "script.h"

enum { READ, NESTED, END, ERROR };

static void on_read(unsigned long ip, unsigned long parent_ip, void *ops, struct sw_regs *regs)
{
	struct area *a = ENTER(READ);
	char text[64];

	if (!a)
		return;
	PREPARE(a, READ, regs);
	if (sw_pid() != sw_target())
		goto out;
	a->context.error_site = (u32)SW_ARG2(regs);
	switch (SW_ARG2(regs)) {
	case 1: /* a user address is no kernel address */
		sw_kernel_read(&a->context, SW_ARG1(regs), 8);
		break;
	case 2: /* not canonical */
		sw_kernel_read(&a->context, 0x8123456789abcdefULL, 4);
		break;
	case 3: /* an unmapped address of the kernel */
		sw_kernel_read(&a->context, 0xffffffffffffff00ULL, 4);
		break;
	case 4:
		sw_kernel_string(&a->context, text, sizeof(text), 0);
		break;
	case 5:
		sw_user_read(&a->context, 0xffffffff81000000ULL, 8);
		break;
	case 6: { /* the text of the buffer, quoted */
		u8 *p;

		sw_user_string_quoted(&a->context, text, sizeof(text), SW_ARG1(regs));
		p = sw_event_begin(&a->context, SW_EVENT_PRINT, 6, sw_string_room(sizeof(text)));
		if (p)
			sw_event_commit(&a->context, sw_event_string(p, text, sizeof(text)));
		break;
	}
	case 7: /* a good one */
		a->words[0] += sw_kernel_read(&a->context, (u64)&sw_nr_lanes, 4);
		break;
	case 8:
		sw_exit(&a->context);
		break;
	}
out:
	leave(a, READ);
}

static void on_nested(unsigned long ip, unsigned long parent_ip, void *ops, struct sw_regs *regs)
{
	struct area *a = ENTER(NESTED);

	if (!a)
		return;
	sw_leave(&a->context);
}

static void phase(u32 probe)
{
	struct area *a = ENTER(probe);

	if (!a)
		return;
	PREPARE(a, probe, NULL);
	print_long(a, probe, 0);
	leave(a, probe);
}

static void on_end(void)
{
	phase(END);
}

static void on_error(void)
{
	phase(ERROR);
}

static const struct sw_probe probes[NR_PROBES] = {
	[READ] = { .hook = SW_FTRACE, .symbol = "vfs_read", .handler = on_read },
	[NESTED] = { .hook = SW_FTRACE,
		     .symbol = "copy_from_kernel_nofault",
		     .handler = on_nested },
	[END] = { .hook = SW_END, .handler = on_end },
	[ERROR] = { .hook = SW_ERROR, .handler = on_error },
};

SCRIPT(65536, NULL);
