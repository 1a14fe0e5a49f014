/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of a process that makes system calls: at the same addresses in the process that
 * strace looks at and in the one that runs our handlers.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#define WORLD 0x20000000UL

enum {
	WORLD_REGISTERS = 0x80, /* of the present call */
	WORLD_PATH = 0x200,
	WORLD_NAME = 0x280,
	WORLD_ZEROS = 0x300,
	WORLD_TIME = 0x500,
	WORLD_TIME_32 = 0x540, /* the same for a 32-bit program */
	WORLD_ADDRESS = 0x580,
	WORLD_ADDRESS6 = 0x5c0,
	WORLD_ODD = 0x600, /* an address of no known family */
	WORLD_LIST = 0x680,
	WORLD_LIST_32 = 0x6c0,
};

static void make_world(void)
{
	static const char odd[] = "odd \"name\"\n\t\x01\xff";
	static const unsigned char inet[16] = { 2, 0, 0, 53, 127, 0, 0, 1 };
	static const unsigned char inet6[28] = { 10, 0, 0, 53, 0, 0, 0, 0, [23] = 1 };
	static const unsigned char family[16] = { 99, 0, 'x' };
	char *at = mmap((void *)WORLD, 1 << 18, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	strcpy(at + WORLD_PATH, "/a/file");
	memcpy(at + WORLD_NAME, odd, sizeof(odd));
	memcpy(at + WORLD_TIME, (unsigned long[]){ 5, 250, 6, 7 }, 32);
	memcpy(at + WORLD_ADDRESS, inet, sizeof(inet));
	memcpy(at + WORLD_ADDRESS6, inet6, sizeof(inet6));
	memcpy(at + WORLD_ODD, family, sizeof(family));
	memcpy(at + WORLD_TIME_32, (unsigned int[]){ 5, 250, 6, 7 }, 16);
	memcpy(at + WORLD_LIST_32, (unsigned int[]){ WORLD + WORLD_PATH, WORLD + WORLD_NAME, 0 },
	       12);
	memcpy(at + WORLD_LIST, (unsigned long[]){ WORLD + WORLD_PATH, WORLD + WORLD_NAME, 0 }, 24);
}
