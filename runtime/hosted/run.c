// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run.c - runs a script's handlers in a normal process, and writes what a reader of the module
 * would get.
 *
 *   -n N        fire every probe but session phases and tracepoints N times, on one lane after the
 *               other
 *   -r A,B,..   the registers that it sees: up to six arguments, decimal or 0x..; the first is also
 *               what returns
 *   -l N        lanes (2)
 *   -x PID      what target() returns
 *   -E N        errors until the script ends itself (unlimited)
 *   -e FILE     event records (standard output)
 *   -i FILE     the image that a device would map
 *
 * Gives 0, 1 where something of ours failed, 2 for usage. Script errors are events, as in a module.
 */
#include <unistd.h>
#include "harness.h"

static FILE *events;
static struct sw_regs regs;

#define HANDLER_TYPE(word, handler, ops) [SW_##word] = SW_HANDLER_##handler,
static const enum sw_handler_type handler_types[] = { SW_HOOKS(HANDLER_TYPE) };

/* After each handler: its records go out before those of the next one. */
static void next(void)
{
	world_drain(events);
	world_enter((u32)(sw_cpu() + 1) % sw_nr_lanes);
}

/* The phase's probes by their order, then as written. */
static void run_phase(enum sw_hook phase, u32 state)
{
	s64 order = 0;
	u32 i, last = 0;
	bool any = false;

	for (;;) {
		const struct sw_probe *found = NULL;
		void (*handler)(void);

		for (i = 0; i < sw_script.nr_probes; i++) {
			const struct sw_probe *p = &sw_script.probes[i];

			if (p->hook != phase || (any && (p->session.order < order ||
							 (p->session.order == order && i <= last))))
				continue;
			if (!found || p->session.order < found->session.order)
				found = p;
		}
		if (!found || world_header.state != state)
			return;
		any = true;
		order = found->session.order;
		last = (u32)(found - sw_script.probes);
		handler = (void (*)(void))found->handler;
		handler();
		next();
	}
}

static void fire_return(const struct sw_probe *p)
{
	sw_kretprobe_handler *handler = (sw_kretprobe_handler *)p->handler;
	sw_kretprobe_handler *entry = p->kretprobe.entry;
	void *data = calloc(1, p->kretprobe.data_size ? p->kretprobe.data_size : 1);

	if (!entry || !entry(data, &regs))
		handler(data, &regs);
	free(data);
}

/* By the type of its handler, so that a new kind of hook fires as well. */
static void fire(const struct sw_probe *p)
{
	if (sw_script.armed && !sw_script.armed((u32)(p - sw_script.probes)))
		return;
	switch (handler_types[p->hook]) {
	case SW_HANDLER_PLAIN:
		((void (*)(void))p->handler)();
		break;
	case SW_HANDLER_REGS:
		((sw_regs_handler *)p->handler)(&regs);
		break;
	case SW_HANDLER_FTRACE:
		((sw_ftrace_handler *)p->handler)(regs.ip, 0, NULL, &regs);
		break;
	case SW_HANDLER_KPROBE:
		((sw_kprobe_handler *)p->handler)(NULL, &regs);
		break;
	case SW_HANDLER_KRETPROBE:
		fire_return(p);
		break;
	case SW_HANDLER_PACKET:
		((sw_packet_handler *)p->handler)(regs.di, regs.si, regs.dx, regs.cx);
		break;
	case SW_HANDLER_EVENT:
		((sw_event_handler *)p->handler)(NULL, NULL, &regs);
		break;
	case SW_HANDLER_UPROBE:
		((sw_uprobe_handler *)p->handler)(0, &regs);
		break;
	case SW_HANDLER_NONE:
	case SW_HANDLER_SESSION:    /* it has its time */
	case SW_HANDLER_TRACEPOINT: /* its arguments are its own */
		return;
	}
	next();
}

static void run(u64 rounds, u64 most_errors, s64 target)
{
	u64 round;
	u32 i;

	world_errors_reset(most_errors, target);
	world_set_state(SW_STARTING);
	world_gates_set(0);
	next();
	run_phase(SW_BEGIN, SW_STARTING);
	if (world_header.state == SW_STARTING)
		world_set_state(SW_RUNNING);
	for (round = 0; round < rounds; round++)
		for (i = 0; i < sw_script.nr_probes && world_header.state == SW_RUNNING; i++)
			fire(&sw_script.probes[i]);
	if (world_header.state == SW_RUNNING)
		world_set_state(SW_EXITING);
	world_gates_set(0);
	run_phase(world_header.failed ? SW_ERROR : SW_END, SW_EXITING);
	world_gates_set(1);
	world_set_state(SW_STOPPED);
	world_drain(events);
}

static void set_registers(const char *text)
{
	unsigned long *const registers[] = {
		&regs.di, &regs.si, &regs.dx, &regs.cx, &regs.r8, &regs.r9
	};
	char *end;
	u32 i;

	for (i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		*registers[i] = strtoul(text, &end, 0);
		if (*end != ',')
			break;
		text = end + 1;
	}
	regs.r10 = regs.cx;
	regs.ax = regs.di;
}

static FILE *open_for(const char *path)
{
	FILE *file = fopen(path, "wb");

	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

int world_run(int argc, char **argv)
{
	u64 rounds = 0, most_errors = ~0ULL;
	s64 target = 0;
	u32 lanes = 2;
	FILE *image = NULL;
	int option;

	events = stdout;
	optind = 1;
	while ((option = getopt(argc, argv, "n:r:l:x:E:e:i:")) != -1) {
		switch (option) {
		case 'n':
			rounds = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			set_registers(optarg);
			break;
		case 'l':
			lanes = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'x':
			target = strtoll(optarg, NULL, 0);
			break;
		case 'E':
			most_errors = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			events = open_for(optarg);
			break;
		case 'i':
			image = open_for(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!lanes || optind != argc)
		return 2;
	world_create(lanes);
	run(rounds, most_errors, target);
	if (image)
		world_write_image(image);
	world_destroy();
	return fflush(events) || (image && fclose(image)) ? 1 : 0;
}
