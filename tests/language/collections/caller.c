// SPDX-License-Identifier: GPL-2.0-or-later
/* The program of machine.c's library: runs it as often as its argument says. */
#include <stdio.h>
#include <stdlib.h>

int machine_run(int depth);

int tag_of_caller = 5;

int main(int argc, char **argv)
{
	int i, sum = 0;

	for (i = argc > 1 ? atoi(argv[1]) : 1; i > 0; i--)
		sum += machine_run(3);
	printf("sum=%d\n", sum);
	return 0;
}
