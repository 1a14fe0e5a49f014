// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The timed loops, as a library for measure.py. In a guest whose clock counts executed
 * instructions, the difference of two clock readings is exact.
 *
 * Each timed_WORK(clock, n) does its work `n` times and returns how many ns of that clock it
 * took, or 0 if something failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CPUS	  2
#define LONG_READ (1 << 16)

static uint64_t now(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int zero(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	return fd;
}

/* Reads one byte. */
uint64_t timed_reads(int clock, uint64_t n)
{
	uint64_t start, failed = 0, i;
	int fd = zero();
	char byte;

	start = now(clock);
	for (i = 0; i < n; i++)
		failed += read(fd, &byte, 1) != 1;
	return failed ? 0 : now(clock) - start;
}

/* Reads so much that nearly all time is spent in one loop of the kernel. */
uint64_t timed_long_reads(int clock, uint64_t n)
{
	static char buffer[LONG_READ];
	uint64_t start, failed = 0, i;
	int fd = zero();

	start = now(clock);
	for (i = 0; i < n; i++)
		failed += read(fd, buffer, LONG_READ) != LONG_READ;
	return failed ? 0 : now(clock) - start;
}

/* The function of a program. As most functions do, it begins with a push. */
__attribute__((noinline)) long bench_called(long number)
{
	__asm__ volatile("" : "+r"(number) : : "rbx");
	return number + 1;
}

static inline __attribute__((always_inline)) uint64_t timed_calls_of(long (*called)(long),
								     int clock, uint64_t n)
{
	uint64_t start = now(clock), i;
	long sum = 0;

	for (i = 0; i < n; i++)
		sum = called(sum);
	return sum != (long)n ? 0 : now(clock) - start;
}

uint64_t timed_calls(int clock, uint64_t n)
{
	return timed_calls_of(bench_called, clock, n);
}

uint64_t timed_opens(int clock, uint64_t n)
{
	uint64_t start = now(clock), failed = 0, i;

	for (i = 0; i < n; i++)
		failed += close(openat(AT_FDCWD, "/dev/zero", O_RDONLY | O_CLOEXEC)) != 0;
	return failed ? 0 : now(clock) - start;
}

/* Sends a datagram to itself. */
uint64_t timed_packets(int clock, uint64_t n)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t length = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t start, failed = 0, i;
	char byte = 0;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&to, length) ||
	    getsockname(fd, (struct sockaddr *)&to, &length) ||
	    connect(fd, (struct sockaddr *)&to, length))
		return 0;
	start = now(clock);
	for (i = 0; i < n; i++)
		failed += send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1;
	start = now(clock) - start;
	close(fd);
	return failed ? 0 : start;
}

struct reader {
	pthread_t thread;
	int cpu;
	uint64_t n, failed;
};

static void *read_on_cpu(void *data)
{
	struct reader *r = data;
	cpu_set_t only;
	uint64_t i;
	char byte;

	CPU_ZERO(&only);
	CPU_SET(r->cpu, &only);
	r->failed = sched_setaffinity(0, sizeof(only), &only) != 0;
	for (i = 0; i < r->n; i++)
		r->failed += read(zero(), &byte, 1) != 1;
	return NULL;
}

/* Reads one byte, `n` times in all, from two CPUs at once. The time is that of both. */
uint64_t timed_reads_on_two_cpus(int clock, uint64_t n)
{
	struct reader readers[CPUS] = { { .cpu = 0, .n = n / CPUS }, { .cpu = 1, .n = n / CPUS } };
	uint64_t start, failed = zero() < 0;
	int i;

	start = now(clock);
	for (i = 0; i < CPUS; i++)
		if (pthread_create(&readers[i].thread, NULL, read_on_cpu, &readers[i]))
			return 0;
	for (i = 0; i < CPUS; i++) {
		pthread_join(readers[i].thread, NULL);
		failed += readers[i].failed;
	}
	return failed ? 0 : now(clock) - start;
}

/* Its first instruction is no push, so the kernel does not emulate it at a breakpoint. */
__attribute__((noinline)) long bench_stepped(long number)
{
	__asm__ volatile("");
	return number + 1;
}

uint64_t timed_stepped_calls(int clock, uint64_t n)
{
	return timed_calls_of(bench_stepped, clock, n);
}

/* Does nothing. */
uint64_t timed_spins(int clock, uint64_t n)
{
	uint64_t start = now(clock), i;

	for (i = 0; i < n; i++)
		__asm__ volatile("");
	return now(clock) - start;
}
