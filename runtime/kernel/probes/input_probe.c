// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Input from the terminal of `stapwatch run`: probes for each byte and each line.
 *
 * The control mutex is held, so the probes of one byte have run before the next byte
 * comes, and no handler reads these variables while they change.
 */
#include "probes/hook.h"

static s64 input_byte;
static char input_line[512]; /* a longer one is cut */
static u32 input_length;     /* bytes of `input_line` so far */

void sw_input(u8 byte)
{
	input_byte = byte;
	sw_phase_run(SW_INPUT_CHAR, SW_RUNNING);
	if (input_length < sizeof(input_line) - 2)
		input_line[input_length++] = (char)byte;
	if (byte != '\n')
		return;
	input_line[input_length - 1] = '\n';
	input_line[input_length] = 0;
	input_length = 0;
	sw_phase_run(SW_INPUT_LINE, SW_RUNNING);
}

s64 sw_input_char(void)
{
	return input_byte;
}

const char *sw_input_line(void)
{
	return input_line;
}
