// SPDX-License-Identifier: GPL-2.0-or-later
/* Every kind of timer counts its ticks; the hrtimer ends the script at its tenth tick. */
#define MODULE_NAME "sw_timers"
#define NR_PROBES   5
#include "script.h"

enum { FINE, RANDOM, COARSE, PROFILE, END };

static void on_fine(struct sw_regs *interrupted)
{
	struct area *a = ENTER(FINE);
	struct shared *s = sw_shared;

	if (!a)
		return;
	PREPARE(a, FINE, interrupted);
	a->words[FINE]++;
	s->words[1 + s->words[0]] = sw_clock_monotonic();
	print_long(a, 1, (s64)s->words[0]);
	if (++s->words[0] == 10)
		sw_exit(&a->context);
	leave(a, FINE);
}

#define COUNTING(name, probe)                                                                      \
	static void name(struct sw_regs *interrupted)                                              \
	{                                                                                          \
		struct area *a = ENTER(probe);                                                     \
                                                                                                   \
		if (!a)                                                                            \
			return;                                                                    \
		a->words[probe]++;                                                                 \
		a->words[8 + probe] += !!interrupted;                                              \
		sw_leave(&a->context);                                                             \
	}

COUNTING(on_random, RANDOM)
COUNTING(on_coarse, COARSE)
COUNTING(on_profile, PROFILE)

static void on_end(void)
{
	struct area *a = ENTER(END);

	if (!a)
		return;
	PREPARE(a, END, NULL);
	print_long(a, 2, 99);
	leave(a, END);
}

static const struct sw_probe probes[NR_PROBES] = {
	[FINE] = { .hook = SW_TIMER_NS, .timer = { .period = 50000000 }, .handler = on_fine },
	[RANDOM] = { .hook = SW_TIMER_NS,
		     .timer = { .period = 20000000, .randomize = 10000000 },
		     .handler = on_random },
	[COARSE] = { .hook = SW_TIMER_JIFFIES, .timer = { .period = 5 }, .handler = on_coarse },
	[PROFILE] = { .hook = SW_PROFILE, .profile = { .rate = 100 }, .handler = on_profile },
	[END] = { .hook = SW_END, .handler = on_end },
};

SCRIPT(4096, NULL);
