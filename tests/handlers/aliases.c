// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes events that the library's aliases are counted by. Each argument is a kind of them:
 *
 *   tty      the size of a pseudo-terminal is set 3 times, then it receives 11 characters
 *   signals  5 signals with a handler, 2 that are ignored
 *   files    on a ramfs: 3 writes of one page each, 2 reads, 4 seeks, 1 mapping, 1 sendfile()
 *   tcp      connections in a network namespace of its own
 *   ip       packets there: see the function
 *   scsi     5 reads of 12 KiB of a disk that scsi_debug makes
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK "/sys/bus/pseudo/devices/adapter*/host*/target*/*:*/block/sd*"

static char page[12288] __attribute__((aligned(4096)));

static long done(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void tty(void)
{
	int master = done(posix_openpt(O_RDWR | O_NOCTTY), "posix_openpt");
	int slave;

	done(grantpt(master), "grantpt");
	done(unlockpt(master), "unlockpt");
	slave = done(open(ptsname(master), O_RDWR | O_NOCTTY), "open a terminal");
	for (unsigned short i = 1; i <= 3; i++) {
		struct winsize size = { .ws_row = 20 + i, .ws_col = 80 };

		done(ioctl(master, TIOCSWINSZ, &size), "TIOCSWINSZ");
	}
	done(write(master, "hello tty!\n", 11), "write to a terminal");
	done(read(slave, page, sizeof(page)), "read of a terminal");
	close(slave);
	close(master);
}

static void handle(int sig)
{
	(void)sig;
}

static void signals(void)
{
	signal(SIGUSR1, handle);
	signal(SIGUSR2, SIG_IGN);
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	for (int i = 0; i < 2; i++)
		raise(SIGUSR2);
}

static void files(void)
{
	int file, pipes[2];
	off_t from = 0;

	mkdir("/tmp/aliases", 0700);
	done(mount("none", "/tmp/aliases", "ramfs", 0, NULL), "mount a ramfs");
	file = done(open("/tmp/aliases/file", O_RDWR | O_CREAT, 0600), "open a file");
	for (int i = 0; i < 3; i++)
		done(pwrite(file, page, 4096, i * 4096), "pwrite");
	for (int i = 0; i < 2; i++)
		done(pread(file, page, 4096, i * 4096), "pread");
	for (int i = 0; i < 4; i++)
		done(lseek(file, i, SEEK_SET), "lseek");
	if (mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED)
		done(-1, "mmap");
	done(pipe(pipes), "pipe");
	done(sendfile(pipes[1], file, &from, 1000), "sendfile");
	umount2("/tmp/aliases", MNT_DETACH);
}

/* A namespace whose loopback device has an MTU of 1500. */
static void isolate(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int control;

	done(unshare(CLONE_NEWNET), "unshare");
	control = done(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	request.ifr_mtu = 1500;
	done(ioctl(control, SIOCSIFMTU, &request), "SIOCSIFMTU");
	request.ifr_flags = IFF_UP | IFF_LOOPBACK;
	done(ioctl(control, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
	close(control);
}

static socklen_t local(struct sockaddr_storage *at, int family, int port)
{
	struct sockaddr_in *four = (void *)at;
	struct sockaddr_in6 *six = (void *)at;

	memset(at, 0, sizeof(*at));
	at->ss_family = family;
	if (family == AF_INET) {
		four->sin_port = htons(port);
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*four);
	}
	six->sin6_port = htons(port);
	six->sin6_addr = in6addr_loopback;
	return sizeof(*six);
}

/* A connection whose options are set `options` times; `abort`: it ends by a reset. */
static void connection(int family, int options, bool abort)
{
	struct sockaddr_storage at;
	socklen_t size = local(&at, family, 7777);
	struct linger linger = { .l_onoff = 1 };
	int on = 1, listener, client, server;

	listener = done(socket(family, SOCK_STREAM, 0), "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	done(bind(listener, (void *)&at, size), "bind");
	done(listen(listener, 1), "listen");
	client = done(socket(family, SOCK_STREAM, 0), "socket");
	for (int i = 0; i < options; i++)
		done(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
	done(connect(client, (void *)&at, size), "connect");
	server = done(accept(listener, NULL, NULL), "accept");
	if (abort)
		setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(client);
	recv(server, page, 1, 0); /* until the end, or the reset */
	close(server);
	close(listener);
}

/* Two connections of IPv4, of which one is reset, one of IPv6, and one that is refused. */
static void tcp(void)
{
	struct sockaddr_storage at;
	int client;

	isolate();
	connection(AF_INET, 2, false);
	connection(AF_INET, 0, true);
	connection(AF_INET6, 3, false);
	client = done(socket(AF_INET, SOCK_STREAM, 0), "socket");
	if (!connect(client, (void *)&at, local(&at, AF_INET, 7778)) || errno != ECONNREFUSED)
		done(-1, "connect to nobody");
	close(client);
}

/* Four datagrams, of which one is cut into 3 fragments, and a packet of a protocol that nobody has. */
static void ip(void)
{
	struct iphdr header = { .version = 4, .ihl = 5, .ttl = 64, .protocol = 253 };
	struct sockaddr_storage at;
	socklen_t size = local(&at, AF_INET, 7779);
	int raw, from, to;

	isolate();
	to = done(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	done(bind(to, (void *)&at, size), "bind");
	from = done(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	for (int i = 0; i < 4; i++)
		done(sendto(from, page, i ? 100 : 3000, 0, (void *)&at, size), "sendto");
	raw = done(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), "a raw socket");
	header.daddr = header.saddr = htonl(INADDR_LOOPBACK);
	done(sendto(raw, &header, sizeof(header), 0, (void *)&at, size), "sendto");
}

static void scsi(void)
{
	glob_t found = { 0 };
	char path[64];
	int disk;

	if (system("modprobe sd_mod && modprobe scsi_debug dev_size_mb=8"))
		done(-1, "modprobe scsi_debug");
	for (int i = 0; i < 100 && glob(DISK, 0, NULL, &found); i++)
		usleep(100000);
	if (!found.gl_pathc)
		done(-1, DISK);
	snprintf(path, sizeof(path), "/dev/%s", strrchr(found.gl_pathv[0], '/') + 1);
	disk = done(open(path, O_RDONLY | O_DIRECT), path);
	for (int i = 0; i < 5; i++)
		done(pread(disk, page, sizeof(page), i * 65536), "pread");
	close(disk);
	if (system("modprobe -r scsi_debug"))
		perror("modprobe -r scsi_debug");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} kinds[] = {
		{ "tty", tty }, { "signals", signals }, { "files", files },
		{ "tcp", tcp }, { "ip", ip },		{ "scsi", scsi },
	};

	for (int i = 1; i < argc; i++)
		for (unsigned int k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
			if (!strcmp(argv[i], kinds[k].name))
				kinds[k].run();
	return 0;
}
