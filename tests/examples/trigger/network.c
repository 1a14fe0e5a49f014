// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections and datagrams over loopback. */
#include "trigger.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>

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

void connect_often(long port, long n)
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

void retransmit(long port)
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

/* Datagrams to a port that nobody has. */
void datagrams(long port, long n)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	while (n--)
		if (sendto(fd, "", 1, 0, (struct sockaddr *)&address, sizeof(address)) != 1)
			fail("sendto");
}

static int name_server(in_addr_t host)
{
	struct sockaddr_in address = loopback(53);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	address.sin_addr.s_addr = htonl(host);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("port 53");
	return fd;
}

/* Ask a name server from a new socket; `server` answers, or nobody does if it is -1. */
static void ask(in_addr_t host, int server)
{
	struct sockaddr_in address = loopback(53), from;
	socklen_t size = sizeof(from);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char byte;

	address.sin_addr.s_addr = htonl(host);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) || send(fd, "", 1, 0) != 1)
		fail("query");
	if (server >= 0) {
		if (recvfrom(server, &byte, 1, 0, (struct sockaddr *)&from, &size) != 1 ||
		    sendto(server, "", 1, 0, (struct sockaddr *)&from, size) != 1)
			fail("answer");
		if (recv(fd, &byte, 1, 0) != 1)
			fail("recv");
	}
	close(fd);
}

void dns(long answered, long silent)
{
	int server = name_server(INADDR_LOOPBACK);

	name_server(INADDR_LOOPBACK + 1);
	name("exact-dns");
	while (answered--)
		ask(INADDR_LOOPBACK, server);
	while (silent--)
		ask(INADDR_LOOPBACK + 1, -1);
	name("trigger");
}
