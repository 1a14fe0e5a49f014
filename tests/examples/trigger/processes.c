// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes: their memory, system calls, time, signals and timers. */
#include "trigger.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

void syscalls(long n)
{
	name("exact-call");
	while (n--)
		syscall(SYS_getppid);
	name("trigger");
}

static void touch(volatile char *at, long pages)
{
	long i;

	for (i = 0; i < pages; i++)
		at[i * PAGE] = 1;
}

void faults(long pages)
{
	char *at = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	madvise(at, (pages + 1) * PAGE, MADV_NOHUGEPAGE);
	touch(at, 1); /* from now on the code is in memory */
	name("trigger");
	name("exact-fault");
	touch(at + PAGE, pages);
	name("trigger");
}

/*
 * The kernel's own counts, taken inside and outside of the time under the name, are a lower
 * and an upper bound of the right answer. Prints both bounds of voluntary switches, then of
 * involuntary ones.
 */
void switches(long n)
{
	struct rusage a, b, c, d;
	struct timespec pause = { 0, 2000000 };

	getrusage(RUSAGE_SELF, &a);
	name("exact-switch");
	getrusage(RUSAGE_SELF, &b);
	while (n--)
		nanosleep(&pause, NULL);
	getrusage(RUSAGE_SELF, &c);
	name("trigger");
	getrusage(RUSAGE_SELF, &d);
	printf("%ld %ld %ld %ld\n", c.ru_nvcsw - b.ru_nvcsw, d.ru_nvcsw - a.ru_nvcsw,
	       c.ru_nivcsw - b.ru_nivcsw, d.ru_nivcsw - a.ru_nivcsw);
}

/* Ask for more memory than there are addresses. */
void refused(long n)
{
	name("exact-refused");
	while (n--)
		if (mmap(NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		    MAP_FAILED)
			fail("mmap");
	name("trigger");
}

void hog(long mib)
{
	long pages = mib << 8;
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (at == MAP_FAILED)
		fail("mmap");
	name("exact-hog");
	touch(at, pages);
}

/* Read from a pipe so often, each time after some milliseconds. */
void pipes(long n, long milliseconds)
{
	struct iovec byte = { &(char){ 0 }, 1 };
	int ends[2];

	if (pipe(ends))
		fail("pipe");
	if (fork() == 0) {
		close(ends[1]);
		while (readv(ends[0], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(ends[0]);
	while (n--) {
		usleep(milliseconds * 1000);
		if (write(ends[1], "", 1) != 1)
			fail("write");
	}
	close(ends[1]);
	wait(NULL);
}

#define SIGNAL 40 /* a realtime signal: each one is queued */

static void take(const sigset_t *set, long n)
{
	int ignored;

	while (n--)
		sigwait(set, &ignored);
}

void signals(long n)
{
	sigset_t set;
	pid_t pid;
	long i;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	name("exact-target");
	pid = fork();
	if (pid == 0) {
		take(&set, n);
		_exit(0);
	}
	name("exact-sender");
	for (i = 0; i < n; i++)
		if (kill(pid, SIGNAL))
			fail("kill");
	waitpid(pid, NULL, 0);
	name("trigger");
}

/* One-shot timers, one after the other. */
void timers(long n)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL };
	struct itimerspec soon = { .it_value = { 0, 1000000 } };
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		fail("timer_create");
	while (n--) {
		timer_settime(timer, 0, &soon, NULL);
		take(&set, 1);
	}
}

static void *nothing(void *unused)
{
	return unused;
}

/* Start so many processes, threads and programs. */
void start(long processes, long threads, long programs)
{
	const char *link = "/tmp/exact-program";
	pthread_t thread;

	name("exact-start");
	for (; processes; processes--) {
		if (fork() == 0)
			_exit(0);
		wait(NULL);
	}
	for (; threads; threads--) {
		if (pthread_create(&thread, NULL, nothing, NULL))
			fail("pthread_create");
		pthread_join(thread, NULL);
	}
	name("trigger");
	unlink(link);
	if (symlink("/proc/self/exe", link))
		fail(link);
	for (; programs; programs--) {
		if (fork() == 0) {
			execl(link, link, "nothing", NULL);
			_exit(1);
		}
		wait(NULL);
	}
	unlink(link);
}

/* Use so much time of a processor. */
void spin(long milliseconds)
{
	struct timespec used = { 0, 0 };

	while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < milliseconds)
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
}
