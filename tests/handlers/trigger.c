// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Executes its arguments, each as often as it says, and nothing else that probes
 * could count.
 *
 *	trigger read 1000 write 10 open /etc/passwd 3
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

/* `n` processes at once, each of which reads `each` times. */
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

/* A process that runs /bin/echo with two arguments. */
static void spawn(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		if (freopen("/dev/null", "w", stdout))
			execl("/bin/echo", "echo", "one", "two words", NULL);
		_exit(1);
	}
	if (waitpid(pid, NULL, 0) != pid)
		fail("waitpid");
}

/* A process that waits until a signal kills it. */
static void kill_child(int number)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		pause();
		_exit(1);
	}
	if (kill(pid, number) || waitpid(pid, NULL, 0) != pid)
		fail("kill");
}

static int bound(int type, struct sockaddr_in *to)
{
	socklen_t length = sizeof(*to);
	int fd = socket(AF_INET, type, 0);

	memset(to, 0, sizeof(*to));
	to->sin_family = AF_INET;
	to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)to, length) ||
	    getsockname(fd, (struct sockaddr *)to, &length))
		fail("bind");
	return fd;
}

/* Sends `n` bytes to itself. */
static void send_bytes(int type, long n)
{
	static char buffer[1 << 14];
	struct sockaddr_in to;
	int from = socket(AF_INET, type, 0), at = bound(type, &to);

	if (type == SOCK_STREAM && listen(at, 1))
		fail("listen");
	if (connect(from, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	if (type == SOCK_STREAM) {
		int listener = at;

		at = accept(listener, NULL, NULL);
		if (at < 0)
			fail("accept");
		close(listener);
	}
	if (send(from, buffer, (size_t)n, 0) != n || recv(at, buffer, (size_t)n, MSG_WAITALL) != n)
		fail("send");
	close(from);
	close(at);
}

/* Sends `n` packets to itself, in order; `arriving` of them arrive, among them the last one. */
static void datagrams(int family, long n, long arriving)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in to4;
	struct sockaddr *address = (struct sockaddr *)&to;
	socklen_t length = sizeof(to);
	char text[77] = "packet";
	long i, arrived = 0;
	bool last = false;
	struct timeval patience = { .tv_sec = 30 };
	int from = socket(family, SOCK_DGRAM, 0), at;

	if (family == AF_INET) {
		at = bound(SOCK_DGRAM, &to4);
		address = (struct sockaddr *)&to4;
		length = sizeof(to4);
	} else {
		at = socket(family, SOCK_DGRAM, 0);
		if (bind(at, address, length) || getsockname(at, address, &length))
			fail("bind");
	}
	for (i = 0; i < n; i++) {
		text[6] = '0' + (char)i;
		if (sendto(from, text, sizeof(text), 0, address, length) < 0 && errno != EPERM)
			fail("sendto");
	}
	/* the last one need not arrive last: a sender that migrates leaves some in another CPU's backlog */
	if (setsockopt(at, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		fail("SO_RCVTIMEO");
	do {
		if (recv(at, text, sizeof(text), 0) != (ssize_t)sizeof(text))
			break;
		arrived++;
		last |= text[6] == '0' + (char)(n - 1);
	} while (!last || arrived < arriving);
	if (arrived != arriving) {
		fprintf(stderr, "trigger: %ld of %ld packets arrived\n", arrived, n);
		exit(1);
	}
	close(from);
	close(at);
}

/* Writes a number to a file of the kernel; reads it if the text is "-". The file may be `busy`. */
static void set(const char *path, const char *text, long n, bool busy)
{
	bool reads = !strcmp(text, "-");
	char buffer[64];

	while (n--) {
		int fd = open(path, reads ? O_RDONLY : O_WRONLY);
		size_t size = strlen(text);

		errno = 0;
		if (fd < 0 || (reads ? read(fd, buffer, sizeof(buffer)) < 1
				     : write(fd, text, size) != (ssize_t)size))
			if (!busy || (errno != EBUSY && errno != EAGAIN))
				fail(path);
		close(fd);
	}
}

/* N frames leave by a device, past the network's protocols; it answers nobody. */
static void device(const char *name, long n)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(name) };
	struct ifreq up = { .ifr_flags = IFF_UP | IFF_NOARP };
	char frame[ETH_ZLEN] = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	strncpy(up.ifr_name, name, sizeof(up.ifr_name) - 1);
	if (ioctl(fd, SIOCSIFFLAGS, &up))
		fail(name);
	while (n-- > 0)
		if (sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			fail(name);
	close(fd);
}

static void modprobe(const char *first, const char *second)
{
	pid_t child = fork();
	int status;

	if (!child) {
		execlp("modprobe", "modprobe", first, second, (char *)NULL);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || status)
		fail("modprobe");
}

/*
 * N frames leave by the device of the module dummy, which is loaded for them. One life at a time, and
 * without a shell, which would make system calls that others count.
 */
static void life(long n)
{
	int lock = open("/run/trigger.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (lock < 0 || flock(lock, LOCK_EX))
		fail("flock");
	set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1", 1,
	    false); /* it would send by itself */
	modprobe("dummy", "numdummies=1");
	device("dummy0", n);
	modprobe("-r", "dummy");
	close(lock);
}

static void send_to(const char *where)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (inet_pton(AF_INET, where, &to.sin_addr) != 1 ||
	    sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1)
		fail(where);
	close(fd);
}

/* Writes to each of `n` pages of memory. */
static void touch(long n)
{
	size_t size = (size_t)n * 4096;
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long i;

	if (at == MAP_FAILED)
		fail("mmap");
	madvise(at, size, MADV_NOHUGEPAGE);
	for (i = 0; i < n; i++)
		at[i * 4096] = 1;
	if (munmap(at, size))
		fail("munmap");
}

/* Writes a file of `n` bytes to the disk and removes it. */
static void save(const char *path, long n)
{
	static char buffer[1 << 16];
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || write(fd, buffer, (size_t)n) != n || fsync(fd))
		fail(path);
	close(fd);
	unlink(path);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

/* A process in namespaces of its own asks for all its IDs `n` times. */
static void contained(long n)
{
	int status;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		fail("unshare");
	write_to("/proc/self/uid_map", "7 0 1");
	write_to("/proc/self/setgroups", "deny");
	write_to("/proc/self/gid_map", "8 0 1");
	if (!fork()) { /* the namespace's first process */
		setsid();
		if (fork()) {
			wait(&status);
			_exit(0);
		}
		while (n--) {
			syscall(SYS_getpid);
			syscall(SYS_gettid);
			syscall(SYS_getppid);
			syscall(SYS_getpgrp);
			syscall(SYS_getsid, 0);
			syscall(SYS_getuid);
			syscall(SYS_geteuid);
			syscall(SYS_getgid);
			syscall(SYS_getegid);
		}
		_exit(0);
	}
	wait(&status);
}

/* Calls that nobody makes, with flags that only they have; all of them fail or do nothing. */
static void odd_calls(void)
{
	syscall(SYS_faccessat2, AT_FDCWD, "/nowhere", 4, 0x200);
	syscall(SYS_statx, AT_FDCWD, "/nowhere", 0x2000, 0x1, NULL);
	syscall(SYS_name_to_handle_at, AT_FDCWD, "/nowhere", NULL, NULL, 0x200);
	syscall(SYS_dup3, -1, -1, 0);
	syscall(SYS_pipe2, NULL, 0x80000);
	syscall(SYS_delete_module, "no-such-module", 0x800);
	syscall(SYS_kill, getpid(), -1);
	syscall(SYS_nanosleep, 16, NULL);
	syscall(SYS_chown, "/nowhere", -1, -2);
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
		} else if (!strcmp(what, "getppid") || !strcmp(what, "getpgrp")) {
			long n = atol(argv[i++]);
			long call = what[4] == 'p' ? SYS_getppid : SYS_getpgrp;

			while (n--)
				syscall(call);
		} else if (!strcmp(what, "spawn")) {
			long n = atol(argv[i++]);

			while (n--)
				spawn();
		} else if (!strcmp(what, "odd_calls")) {
			odd_calls();
			i++;
		} else if (!strcmp(what, "contained")) {
			contained(atol(argv[i++]));
		} else if (!strcmp(what, "kill")) {
			kill_child(atoi(argv[i++]));
		} else if (!strcmp(what, "tcp")) {
			send_bytes(SOCK_STREAM, atol(argv[i++]));
		} else if (!strcmp(what, "udp")) {
			send_bytes(SOCK_DGRAM, atol(argv[i++]));
		} else if (!strncmp(what, "datagrams", 9) && i + 1 < argc) {
			datagrams(what[9] ? AF_INET6 : AF_INET, atol(argv[i]), atol(argv[i + 1]));
			i += 2;
		} else if (!strcmp(what, "life")) {
			life(atol(argv[i++]));
		} else if ((!strcmp(what, "set") || !strcmp(what, "try")) && i + 2 < argc) {
			set(argv[i], argv[i + 1], atol(argv[i + 2]), *what == 't');
			i += 3;
		} else if (!strcmp(what, "udp_to")) {
			send_to(argv[i++]);
		} else if (!strcmp(what, "touch")) {
			touch(atol(argv[i++]));
		} else if (!strcmp(what, "save") && i + 1 < argc) {
			save(argv[i], atol(argv[i + 1]));
			i += 2;
		} else if (!strcmp(what, "sleep")) {
			usleep((useconds_t)atol(argv[i++]) * 1000);
		} else {
			fprintf(stderr, "trigger: what is '%s'?\n", what);
			return 2;
		}
	}
	return 0;
}
