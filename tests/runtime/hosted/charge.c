// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Charges a hit as its arguments say, with a clock of its own; nothing else of the runtime.
 *
 *   charge ACTIONS MAXTIME STEP...     ACTIONS of the hit, MAXTIME in ms (0: the default)
 *   STEP      N      pays N actions
 *             +NS    time passes
 *
 * Prints the number of looks at the clock, of the steps that were paid, and the error.
 */
#include <stdio.h>
#include <stdlib.h>
#include "stapwatch.h"

static struct sw_probe probe;
static struct sw_script script = { .probes = &probe };
static u64 now = 1000, looks, paid, noted;

u64 sw_clock_monotonic(void)
{
	looks++;
	return now;
}

void sw_meter_heavy(struct sw_context *c)
{
	noted++;
}

int main(int argc, char **argv)
{
	struct sw_context c = { .took = ~0ull }; /* what an earlier hit has left */
	s32 actions = atoi(argv[1]), first = actions < SW_LOOK ? actions : SW_LOOK;
	int i;

	probe.actions = actions - first;
	script.max_time = strtoull(argv[2], NULL, 0) * 1000000;
	*(struct sw_script *)&sw_script = script;
	sw_prepare(&c, 0, first, NULL);
	for (i = 3; i < argc; i++) {
		if (argv[i][0] == '+')
			now += strtoull(argv[i] + 1, NULL, 0);
		else
			paid += sw_charge(&c, (u32)atoi(argv[i]));
	}
	printf("%llu %llu %s\n", (unsigned long long)looks, (unsigned long long)paid,
	       c.error ? c.error : "");
	return noted != looks; /* each look is noted */
}
