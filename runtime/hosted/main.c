// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - one script as a program; its options are run.c's.
 *
 *   gcc -DSW_USERSPACE -fwrapv -fno-strict-aliasing -fsanitize=address,undefined
 *       -Iinclude -Isrc -Iuser script.c
 *       src/{memory,string,format,event,array,statistic,number,syscall}.c
 *       user/{main,run,world,process}.c
 */
#include "harness.h"

int main(int argc, char **argv)
{
	return world_run(argc, argv);
}
