// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a script's handlers in a normal process, and writes what a reader of the module
 * would get.
 *
 *   -n N        fire every probe N times, on one lane after the other; begin, end and
 *               error probes have their own time, tracepoints are not fired
 *   -r A,B,..   registers at the hit: up to six arguments, decimal or 0x..; the first is
 *               also the return value
 *   -l N        number of lanes (2)
 *   -x PID      what target() returns
 *   -E N        errors that are tolerated (any number)
 *   -e FILE     event records (standard output)
 *   -i FILE     the image that a device would map
 *   -c FILE     for each probe a line: the most instructions that a hit took, in a program
 *               that counts them in the variable `sw_instructions`
 *
 * The exit status is 0, 1 for a failure of the harness, 2 for wrong usage. Script errors
 * are events, as in a module.
 */
#include <string.h>
#include <unistd.h>
#include "harness.h"

static FILE *events;
static struct sw_regs regs;
static u64 *most_instructions; /* by probe */

extern u64 sw_instructions __attribute__((weak));

static u64 instructions(void)
{
	return &sw_instructions ? sw_instructions : 0;
}

static void note_hit(const struct sw_probe *p, u64 begun)
{
	u64 *most = &most_instructions[p - sw_script.probes], took = instructions() - begun;

	if (took > *most)
		*most = took;
}

#define HANDLER_TYPE(word, handler, ops) [SW_##word] = SW_HANDLER_##handler,
static const enum sw_handler_type handler_types[] = { SW_HOOKS(HANDLER_TYPE) };

/* After each handler: writes its records, which precede the next one's. */
static void next_lane(void)
{
	harness_drain_ring(events);
	harness_set_lane((u32)(sw_cpu() + 1) % sw_nr_lanes);
}

/* Runs the begin, end or error probes by order number, then in script order. */
static void run_session_probes(enum sw_hook phase, u32 state)
{
	s64 order = 0;
	u32 i, last = 0;
	bool any = false;

	for (;;) {
		const struct sw_probe *found = NULL;
		void (*handler)(void);
		u64 begun;

		for (i = 0; i < sw_script.nr_probes; i++) {
			const struct sw_probe *p = &sw_script.probes[i];

			if (p->hook != phase || (any && (p->session.order < order ||
							 (p->session.order == order && i <= last))))
				continue;
			if (!found || p->session.order < found->session.order)
				found = p;
		}
		if (!found || harness_header.state != state)
			return;
		any = true;
		order = found->session.order;
		last = (u32)(found - sw_script.probes);
		handler = (void (*)(void))found->handler;
		begun = instructions();
		handler();
		note_hit(found, begun);
		next_lane();
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

static void fire_program_return(const struct sw_probe *p)
{
	sw_uretprobe_handler *handler = (sw_uretprobe_handler *)p->handler;
	sw_uretprobe_entry *entry = p->uprobe.entry;
	void *saved = calloc(1, p->uprobe.data_size ? p->uprobe.data_size : 1);

	if (!entry || !entry(0, &regs, saved))
		handler(0, &regs, saved);
	free(saved);
}

/* Selected by the type of its handler, so that new kinds of hooks fire as well. */
static void fire(const struct sw_probe *p)
{
	u64 begun;

	if (sw_script.armed && !sw_script.armed((u32)(p - sw_script.probes)))
		return;
	begun = instructions();
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
		((sw_packet_handler *)p->handler)(SW_ARG0(&regs), SW_ARG1(&regs), SW_ARG2(&regs),
						  SW_ARG3(&regs));
		break;
	case SW_HANDLER_EVENT:
		((sw_event_handler *)p->handler)(NULL, NULL, &regs);
		break;
	case SW_HANDLER_UPROBE:
		((sw_uprobe_handler *)p->handler)(0, &regs);
		break;
	case SW_HANDLER_URETPROBE:
		fire_program_return(p);
		break;
	case SW_HANDLER_NONE:
	case SW_HANDLER_SESSION:    /* these probes have their own time */
	case SW_HANDLER_TRACEPOINT: /* its arguments are not known */
		return;
	}
	note_hit(p, begun);
	next_lane();
}

static void run(u64 rounds, u64 max_errors, s64 target)
{
	u64 round;
	u32 i;

	harness_errors_reset(max_errors, target);
	harness_set_state(SW_STARTING);
	harness_set_disabled(0);
	next_lane();
	run_session_probes(SW_BEGIN, SW_STARTING);
	if (harness_header.state == SW_STARTING)
		harness_set_state(SW_RUNNING);
	for (round = 0; round < rounds; round++)
		for (i = 0; i < sw_script.nr_probes && harness_header.state == SW_RUNNING; i++)
			fire(&sw_script.probes[i]);
	if (harness_header.state == SW_RUNNING)
		harness_set_state(SW_EXITING);
	harness_set_disabled(0);
	run_session_probes(harness_header.failed ? SW_ERROR : SW_END, SW_EXITING);
	harness_set_disabled(1);
	harness_set_state(SW_STOPPED);
	harness_drain_ring(events);
}

/*
 * Six numbers, separated by commas. "regs" is the address of these registers: the only argument of
 * a system call's function, which handlers read through without a check.
 */
static void set_registers(const char *text)
{
	unsigned long *const places[] = {
		&SW_ARG0(&regs), &SW_ARG1(&regs), &SW_ARG2(&regs),
		&SW_ARG3(&regs), &SW_ARG4(&regs), &SW_ARG5(&regs),
	};
	char *end;
	u32 i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!strncmp(text, "regs", 4)) {
			*places[i] = (unsigned long)&regs;
			end = (char *)text + 4;
		} else {
			*places[i] = strtoul(text, &end, 0);
		}
		if (*end != ',')
			break;
		text = end + 1;
	}
	SW_SYSCALL_ARG3(&regs) = SW_ARG3(&regs);
	SW_RETURN_VALUE(&regs) = SW_ARG0(&regs);
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

int run_script(int argc, char **argv)
{
	u64 rounds = 0, max_errors = ~0ULL;
	s64 target = 0;
	u32 lanes = 2;
	FILE *image = NULL, *counts = NULL;
	int option;
	u32 i;

	events = stdout;
	optind = 1;
	while ((option = getopt(argc, argv, "n:r:l:x:E:e:i:c:")) != -1) {
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
			max_errors = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			events = open_for(optarg);
			break;
		case 'i':
			image = open_for(optarg);
			break;
		case 'c':
			counts = open_for(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!lanes || optind != argc)
		return 2;
	harness_create(lanes);
	most_instructions = calloc(sw_script.nr_probes, sizeof(*most_instructions));
	run(rounds, max_errors, target);
	if (image)
		harness_write_image(image);
	for (i = 0; counts && i < sw_script.nr_probes; i++)
		fprintf(counts, "%llu\n", (unsigned long long)most_instructions[i]);
	free(most_instructions);
	harness_destroy();
	return fflush(events) || (image && fclose(image)) || (counts && fclose(counts)) ? 1 : 0;
}
