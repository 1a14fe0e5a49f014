// SPDX-License-Identifier: GPL-2.0-or-later
/* Prints the total after each value of the counter that an argument gives. */
#include <stdio.h>
#include <stdlib.h>
#include "stapwatch/types.h"
#include "probes/kernel_counter.h"

int main(int argc, char **argv)
{
	struct sw_kernel_counter counter = { 0, 0 };
	int i;

	for (i = 1; i < argc; i++)
		printf("%llu\n",
		       sw_kernel_counter_read(&counter, (u32)strtoull(argv[i], NULL, 10)));
	return 0;
}
