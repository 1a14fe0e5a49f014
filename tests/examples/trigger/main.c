// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does known things a known number of times, each under a process name of its own.
 *
 *	trigger vfs /mnt/file 30 20	reads and writes of a file
 *	trigger syscalls 1000		getppid()
 *	trigger faults 300		pages touched for the first time
 *	trigger opens 50 7		files opened, and files not found
 *	trigger switches 20		sleeps
 *	trigger connect 17001 25	connections over loopback
 *	trigger retransmit 17002	connects to a full queue until a segment is sent again
 *	trigger block /dev/loop0 3 4 5	reads, writes and flushes past the page cache
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void name(const char *text)
{
	if (prctl(PR_SET_NAME, text, 0, 0, 0))
		fail("prctl");
}

static void vfs(const char *path, long reads, long writes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char byte = 0;

	if (fd < 0)
		fail(path);
	while (writes--)
		if (pwrite(fd, &byte, 1, 0) != 1)
			fail("pwrite");
	while (reads--)
		if (pread(fd, &byte, 1, 0) != 1)
			fail("pread");
}

static void syscalls(long n)
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

static void faults(long pages)
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

static void opens(long good, long bad)
{
	int fd;

	name("exact-open");
	while (good--) {
		fd = open("/etc/hostname", O_RDONLY);
		if (fd < 0)
			fail("/etc/hostname");
		close(fd);
	}
	while (bad--)
		if (open("/no/such/file", O_RDONLY) >= 0 || errno != ENOENT)
			fail("/no/such/file");
	name("trigger");
}

/*
 * The kernel's own counts, taken inside and outside of the time under the name, are a lower
 * and an upper bound of the right answer. Prints both bounds of voluntary switches, then of
 * involuntary ones.
 */
static void switches(long n)
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

static struct sockaddr_in loopback(long port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	return address;
}

static int listener(long port, int backlog)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, backlog))
		fail("listen");
	return fd;
}

static void connect_often(long port, long n)
{
	struct sockaddr_in address = loopback(port);
	int server = listener(port, 8);

	while (n--) {
		int client = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(client, (struct sockaddr *)&address, sizeof(address)))
			fail("connect");
		close(accept(server, NULL, NULL));
		close(client);
	}
}

/* The kernel's own count of retransmitted segments. */
static long retransmitted(void)
{
	char names[1024], values[1024];
	FILE *file = fopen("/proc/net/snmp", "r");

	while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		char *n, *v, *nn, *vv;

		if (strncmp(names, "Tcp:", 4))
			continue;
		n = strtok_r(names, " \n", &nn);
		v = strtok_r(values, " \n", &vv);
		while (n && v && strcmp(n, "RetransSegs")) {
			n = strtok_r(NULL, " \n", &nn);
			v = strtok_r(NULL, " \n", &vv);
		}
		fclose(file);
		return v ? atol(v) : -1;
	}
	fail("/proc/net/snmp");
	return -1;
}

static void retransmit(long port)
{
	struct sockaddr_in address = loopback(port);
	struct timespec pause = { 0, 50000000 };
	long before = retransmitted();
	int i;

	listener(port, 0);
	for (i = 0; i < 6; i++)
		connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
			(struct sockaddr *)&address, sizeof(address));
	for (i = 0; i < 600 && retransmitted() == before; i++)
		nanosleep(&pause, NULL);
	if (retransmitted() == before)
		fail("nothing was sent again");
}

static void block(const char *path, long reads, long writes, long flushes)
{
	int fd = open(path, O_RDWR | O_DIRECT);
	void *page = NULL;
	long i;

	if (fd < 0 || posix_memalign(&page, PAGE, PAGE))
		fail(path);
	memset(page, 0, PAGE);
	for (i = 0; i < writes; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			fail("pwrite");
	for (i = 0; i < reads; i++)
		if (pread(fd, page, PAGE, i * PAGE) != PAGE)
			fail("pread");
	for (i = 0; i < flushes; i++)
		if (fsync(fd))
			fail("fsync");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long number[6] = { 0 };
	int i;

	for (i = 2; i < argc && i < 6; i++)
		number[i] = strtol(argv[i], NULL, 10);
	if (!strcmp(what, "vfs"))
		vfs(argv[2], number[3], number[4]);
	else if (!strcmp(what, "syscalls"))
		syscalls(number[2]);
	else if (!strcmp(what, "faults"))
		faults(number[2]);
	else if (!strcmp(what, "opens"))
		opens(number[2], number[3]);
	else if (!strcmp(what, "switches"))
		switches(number[2]);
	else if (!strcmp(what, "connect"))
		connect_often(number[2], number[3]);
	else if (!strcmp(what, "retransmit"))
		retransmit(number[2]);
	else if (!strcmp(what, "block"))
		block(argv[2], number[3], number[4], number[5]);
	else
		return 2;
	return 0;
}
