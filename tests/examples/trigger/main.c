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
 *	trigger cached /mnt/file 10	pages that are read twice, first from the disk
 *	trigger locks /mnt/file 5	waits for the lock of a file
 *	trigger datagrams 17003 20	datagrams to nobody
 *	trigger dns 10 3		queries that are answered, and others
 *	trigger refused 9		mmap() of too much
 *	trigger hog 64			MiB of memory that are used
 *	trigger pipes 4 150		readv() that last so many milliseconds
 *	trigger signals 25		realtime signals to a child
 *	trigger timers 15		POSIX timers
 *	trigger start 12 7 5		processes, threads and programs
 *	trigger spin 200		milliseconds of processor time
 */
#include "trigger.h"

#include <sys/prctl.h>

void fail(const char *what)
{
	perror(what);
	exit(1);
}

void name(const char *text)
{
	if (prctl(PR_SET_NAME, text, 0, 0, 0))
		fail("prctl");
}

int main(int argc, char **words)
{
	const char *what = argc > 1 ? words[1] : "";
	long n[6] = { 0 };
	int i;

	for (i = 2; i < argc && i < 6; i++)
		n[i] = strtol(words[i], NULL, 10);
	if (!strcmp(what, "vfs"))
		vfs(words[2], n[3], n[4]);
	else if (!strcmp(what, "block"))
		block(words[2], n[3], n[4], n[5]);
	else if (!strcmp(what, "cached"))
		cached(words[2], n[3]);
	else if (!strcmp(what, "locks"))
		locks(words[2], n[3]);
	else if (!strcmp(what, "opens"))
		opens(n[2], n[3]);
	else if (!strcmp(what, "connect"))
		connect_often(n[2], n[3]);
	else if (!strcmp(what, "retransmit"))
		retransmit(n[2]);
	else if (!strcmp(what, "datagrams"))
		datagrams(n[2], n[3]);
	else if (!strcmp(what, "dns"))
		dns(n[2], n[3]);
	else if (!strcmp(what, "syscalls"))
		syscalls(n[2]);
	else if (!strcmp(what, "faults"))
		faults(n[2]);
	else if (!strcmp(what, "switches"))
		switches(n[2]);
	else if (!strcmp(what, "refused"))
		refused(n[2]);
	else if (!strcmp(what, "hog"))
		hog(n[2]);
	else if (!strcmp(what, "pipes"))
		pipes(n[2], n[3]);
	else if (!strcmp(what, "signals"))
		signals(n[2]);
	else if (!strcmp(what, "timers"))
		timers(n[2]);
	else if (!strcmp(what, "start"))
		start(n[2], n[3], n[4]);
	else if (!strcmp(what, "spin"))
		spin(n[2]);
	else if (strcmp(what, "nothing"))
		return 2;
	return 0;
}
