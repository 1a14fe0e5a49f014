// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The handlers of two CPUs, which write strings and statistics of a mapped image all the
 * time.
 *
 *   writer IMAGE LOCK SEQUENCE STRINGS STRING_SIZE STATISTICS ROWS     offsets in the file
 *
 * Prints "ready" when both write, and goes on until its input ends. In every row, all bytes
 * of the string are the same letter, and all words of the statistic are the same number.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "stapwatch.h"

#define WORDS 8

static char *strings;
static s64 *statistics;
static u32 *lock, *sequence;
static u32 rows, size;
static int stop;
static u64 written;

bool sw_lock_slow(u32 *word, u32 locks __maybe_unused)
{
	while (sw_exchange(word, 1))
		sched_yield();
	return true;
}

static void take_time(u32 turns)
{
	while (turns--)
		__asm__ __volatile__("pause");
}

static void *write_rows(void *argument)
{
	u64 n = (u64)(unsigned long)argument;

	for (; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n += 2) {
		u32 row = (u32)(n / 2 % rows), i;

		if (!sw_lock(lock, 1))
			continue;
		sw_write_begin(sequence);
		for (i = 0; i < size - 1; i++) {
			((volatile char *)strings)[row * size + i] = (char)('a' + n % 26);
			take_time(1);
		}
		for (i = 0; i < WORDS; i++) {
			((volatile s64 *)statistics)[row * WORDS + i] = (s64)n;
			take_time(20);
		}
		sw_write_end(sequence);
		sw_unlock(lock);
		__atomic_fetch_add(&written, 1, __ATOMIC_RELAXED);
		take_time(2000); /* readers need moments in which the table is not locked */
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	struct stat info;
	char *image;
	int fd;
	u32 i;

	if (argc != 8)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &info))
		return 1;
	image = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (image == MAP_FAILED)
		return 1;
	lock = (u32 *)(image + atol(argv[2]));
	sequence = (u32 *)(image + atol(argv[3]));
	strings = image + atol(argv[4]);
	size = (u32)atol(argv[5]);
	statistics = (s64 *)(image + atol(argv[6]));
	rows = (u32)atol(argv[7]);
	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, write_rows, (void *)(unsigned long)i))
			return 1;
	while (__atomic_load_n(&written, __ATOMIC_RELAXED) < 4 * rows)
		sched_yield();
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("%lu\n", (unsigned long)written);
	return 0;
}
