// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program to be probed: its functions, its marks, its threads. Executes its arguments
 * in order, and does nothing else that its probes could count.
 *
 *	program call 10 mark 3 threads 2
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A mark as <sys/sdt.h> defines it: a nop, and a note with its address, the address of a
 * section that shows whether prelink has moved the file, the address of the semaphore, and
 * the locations of its arguments.
 */
#define MARK(provider, name, counter, arguments, ...)                                              \
	__asm__ __volatile__(                                                                      \
		"990: nop\n"                                                                       \
		".pushsection .note.stapsdt,\"?\",\"note\"\n"                                      \
		".balign 4\n"                                                                      \
		".4byte 992f-991f, 994f-993f, 3\n"                                                 \
		"991: .asciz \"stapsdt\"\n"                                                        \
		"992: .balign 4\n"                                                                 \
		"993: .8byte 990b, _.stapsdt.base, " #counter "\n"                                 \
		".asciz \"" provider "\"\n"                                                        \
		".asciz \"" name "\"\n"                                                            \
		".asciz \"" arguments "\"\n"                                                       \
		"994: .balign 4\n"                                                                 \
		".popsection\n"                                                                    \
		".ifndef _.stapsdt.base\n"                                                         \
		".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"            \
		".weak _.stapsdt.base\n"                                                           \
		".hidden _.stapsdt.base\n"                                                         \
		"_.stapsdt.base: .space 1\n"                                                       \
		".size _.stapsdt.base, 1\n"                                                        \
		".popsection\n"                                                                    \
		".endif\n" ::__VA_ARGS__)

/* The mark's semaphore: the number of users of the mark. */
__attribute__((section(".probes"), used)) unsigned short busy_semaphore;

__attribute__((used)) int global_numbers[2] = { 5, -6 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

__attribute__((noinline, used)) long twice_of(long value, const char *text)
{
	__asm__ __volatile__("" : "+r"(value), "+r"(text));
	return 2 * value;
}

__attribute__((noinline, used)) long twice_and_one(long value)
{
	__asm__ __volatile__("" : "+r"(value));
	return twice_of(value, "inner") + 1;
}

__attribute__((noinline, used)) long sum_of_eight(long a, long b, long c, long d, long e, long f,
						  long g, long h)
{
	__asm__ __volatile__("" : "+r"(a));
	return a + b + c + d + e + f + g + h;
}

__attribute__((noinline, used)) long sum_up_to(long n)
{
	__asm__ __volatile__("" : "+r"(n));
	return n ? n + sum_up_to(n - 1) : 0;
}

static void mark(long n)
{
	volatile struct {
		int number;
		unsigned short small;
	} there = { -5, 65535 };
	static const char text[] = "a text";
	long i;

	for (i = 0; i < n; i++) {
		MARK("ours", "simple", 0, "");
		MARK("ours", "several", 0, "-4@%1 8@%2 2@%3 -2@%3 -8@$-7 1@(%4,%5,2)", "n"(0),
		     "r"((int)-i), "r"(text), "m"(there.small), "r"(text), "r"(1L));
		MARK("theirs", "global", 0, "-4@global_numbers+4(%%rip)", "n"(0));
		MARK("theirs", "several", 0, "-4@%0", "m"(there.number));
		if (*(volatile unsigned short *)&busy_semaphore)
			MARK("ours", "busy", busy_semaphore, "8@%0", "r"(i));
	}
}

static void *in_thread(void *unused)
{
	syscall(SYS_getppid);
	return unused;
}

static void threads(long n)
{
	pthread_t thread;

	while (n--)
		if (pthread_create(&thread, NULL, in_thread, NULL) || pthread_join(thread, NULL))
			fail("thread");
}

/* Processes that do nothing and exit. */
static void forks(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			fail("fork");
	}
}

/* A process whose parent has exited: process 1 wakes up to reap it. Returns while it exits. */
static void orphan(void)
{
	int held[2];
	pid_t pid;
	char byte;

	if (pipe(held))
		fail("pipe");
	pid = fork();
	if (!pid) {
		if (!fork())
			usleep(10000);
		_exit(0);
	}
	close(held[1]);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid || read(held[0], &byte, 1))
		fail("fork");
	close(held[0]);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		const char *what = argv[i];
		long n = atol(argv[i + 1]), k;

		if (!strcmp(what, "call")) {
			for (k = 0; k < n; k++)
				if (twice_and_one(k) != 2 * k + 1)
					return 3;
		} else if (!strcmp(what, "sum")) {
			if (sum_of_eight(1, 2, 3, 4, 5, 6, 7, n) != 28 + n)
				return 3;
		} else if (!strcmp(what, "nest")) {
			if (sum_up_to(n) != n * (n + 1) / 2)
				return 3;
		} else if (!strcmp(what, "mark")) {
			mark(n);
		} else if (!strcmp(what, "threads")) {
			threads(n);
		} else if (!strcmp(what, "forks")) {
			forks(n);
		} else if (!strcmp(what, "orphan")) {
			while (n--)
				orphan();
		} else if (!strcmp(what, "getppid")) {
			while (n--)
				syscall(SYS_getppid);
		} else {
			fprintf(stderr, "program: what is '%s'?\n", what);
			return 2;
		}
	}
	return 0;
}
