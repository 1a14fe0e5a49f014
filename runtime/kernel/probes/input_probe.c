// SPDX-License-Identifier: GPL-2.0-or-later
/* input.c - what is typed where `run` runs: probes for each byte and for each line. The control
 * mutex is held, so one byte's probes have run before the next one comes. */
#include "probes/hook.h"

static s64 key;
static char line[512]; /* a longer one is cut */
static u32 typed;      /* bytes of `line` so far */

void sw_input(u8 byte)
{
	key = byte;
	sw_phase_run(SW_INPUT_CHAR, SW_RUNNING);
	if (typed < sizeof(line) - 2)
		line[typed++] = (char)byte;
	if (byte != '\n')
		return;
	line[typed - 1] = '\n';
	line[typed] = 0;
	typed = 0;
	sw_phase_run(SW_INPUT_LINE, SW_RUNNING);
}

s64 sw_input_char(void)
{
	return key;
}

const char *sw_input_line(void)
{
	return line;
}
