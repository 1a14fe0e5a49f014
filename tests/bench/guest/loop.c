// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The timed loop, as a library for measure.py. In a guest whose clock counts executed
 * instructions, the difference of two clock readings is exact.
 */
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Reads one byte `n` times. Returns how many ns that took; 0 if a read failed. */
uint64_t timed_reads(int fd, uint64_t n)
{
	uint64_t start = now(), failed = 0, i;
	char byte;

	for (i = 0; i < n; i++)
		failed += read(fd, &byte, 1) != 1;
	return failed ? 0 : now() - start;
}
