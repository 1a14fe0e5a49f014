// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trigger.c - does exactly what it is told, as often as it is told, and nothing else that probes
 *could count.
 *
 *	trigger read 1000 write 10 open /etc/passwd 3
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void read_often(long n)
{
	int fd = open("/dev/zero", O_RDONLY);
	char byte;

	if (fd < 0)
		fail("/dev/zero");
	while (n--)
		if (read(fd, &byte, 1) != 1)
			fail("read");
	close(fd);
}

static void write_often(long n)
{
	int fd = open("/dev/null", O_WRONLY);

	if (fd < 0)
		fail("/dev/null");
	while (n--)
		if (write(fd, "ping\n", 5) != 5)
			fail("write");
	close(fd);
}

/* Sizes 1, 2, 4, ... in turn. */
static void read_sizes(long n)
{
	static char buffer[1 << 16];
	int fd = open("/dev/zero", O_RDONLY);
	long i;

	if (fd < 0)
		fail("/dev/zero");
	for (i = 0; i < n; i++)
		if (read(fd, buffer, 1L << (i % 16)) < 0)
			fail("read");
	close(fd);
}

static void open_often(const char *path, long n)
{
	while (n--) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			close(fd);
	}
}

/* `n` processes at once, each reading `each` times. */
static void crowd(long n, long each)
{
	long i;

	for (i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid) {
			read_often(each);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
}

int main(int argc, char **argv)
{
	int i = 1;

	while (i + 1 < argc) {
		const char *what = argv[i++];

		if (!strcmp(what, "read")) {
			read_often(atol(argv[i++]));
		} else if (!strcmp(what, "write")) {
			write_often(atol(argv[i++]));
		} else if (!strcmp(what, "sizes")) {
			read_sizes(atol(argv[i++]));
		} else if (!strcmp(what, "open") && i + 1 < argc) {
			open_often(argv[i], atol(argv[i + 1]));
			i += 2;
		} else if (!strcmp(what, "crowd") && i + 1 < argc) {
			crowd(atol(argv[i]), atol(argv[i + 1]));
			i += 2;
		} else if (!strcmp(what, "getppid")) {
			long n = atol(argv[i++]);

			while (n--)
				syscall(SYS_getppid);
		} else if (!strcmp(what, "sleep")) {
			usleep((useconds_t)atol(argv[i++]) * 1000);
		} else {
			fprintf(stderr, "trigger: what is '%s'?\n", what);
			return 2;
		}
	}
	return 0;
}
