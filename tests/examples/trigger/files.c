// SPDX-License-Identifier: GPL-2.0-or-later
/* Files, block devices and the page cache. */
#include "trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

void vfs(const char *path, long reads, long writes)
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

void opens(long good, long bad)
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

void block(const char *path, long reads, long writes, long flushes)
{
	int fd = open(path, O_RDWR | O_DIRECT);
	void *page = NULL;
	long i;

	if (fd < 0 || posix_memalign(&page, PAGE, PAGE))
		fail(path);
	memset(page, 0, PAGE);
	name("exact-block");
	for (i = 0; i < writes; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			fail("pwrite");
	for (i = 0; i < reads; i++)
		if (pread(fd, page, PAGE, i * PAGE) != PAGE)
			fail("pread");
	for (i = 0; i < flushes; i++)
		if (fsync(fd))
			fail("fsync");
	name("trigger");
}

/* Write a file to its disk, forget its pages, and use each page twice, without reading ahead. */
void cached(const char *path, long pages)
{
	/* to store the time of a read would use a page of the file system's own */
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOATIME, 0600);
	char page[PAGE] = { 0 };
	long i, turn;

	if (fd < 0)
		fail(path);
	for (i = 0; i < pages; i++)
		if (write(fd, page, PAGE) != PAGE)
			fail("write");
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	name("exact-cache");
	for (turn = 0; turn < 2; turn++)
		for (i = 0; i < pages; i++)
			if (pread(fd, page, 1, i * PAGE) != 1)
				fail("pread");
	name("trigger");
}

/* A page of memory that is missing until it is filled: who uses it waits. */
static void *missing_page(int *handler)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register at = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*handler = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (*handler < 0 || ioctl(*handler, UFFDIO_API, &api))
		fail("userfaultfd");
	at.range.start = (unsigned long)page;
	at.range.len = PAGE;
	if (ioctl(*handler, UFFDIO_REGISTER, &at))
		fail("UFFDIO_REGISTER");
	return page;
}

static void fill_page(int handler, void *page)
{
	struct uffdio_zeropage zero = { .range = { (unsigned long)page, PAGE } };

	if (ioctl(handler, UFFDIO_ZEROPAGE, &zero))
		fail("UFFDIO_ZEROPAGE");
}

/* Wait until a process sleeps and no signal can wake it, as it does when it waits for a lock. */
static void wait_until_locked(pid_t pid)
{
	char path[64], text[512], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'D') {
		FILE *file = fopen(path, "r");

		if (!file || !fgets(text, sizeof(text), file))
			fail(path);
		fclose(file);
		state = strrchr(text, ')')[2];
		usleep(1000);
	}
}

struct hold {
	int file;
	void *page;
};

static void *hold_lock(void *at)
{
	const struct hold *hold = at;

	if (pwrite(hold->file, hold->page, 1, 0) != 1)
		fail("pwrite");
	return NULL;
}

static pid_t wait_for_lock(int file)
{
	pid_t pid = fork();

	if (pid == 0) {
		name("exact-lock");
		_exit(pwrite(file, "", 1, 0) != 1);
	}
	return pid;
}

/*
 * A thread writes memory that is missing to a file. It holds the file's lock while it waits for the
 * memory. A process that writes to the same file then waits for the lock.
 */
static void contend(int file)
{
	struct uffd_msg fault;
	struct hold hold = { .file = file };
	pthread_t holder;
	int handler, status;
	pid_t waiter;

	hold.page = missing_page(&handler);
	if (pthread_create(&holder, NULL, hold_lock, &hold))
		fail("pthread_create");
	if (read(handler, &fault, sizeof(fault)) != sizeof(fault))
		fail("read");
	waiter = wait_for_lock(file);
	wait_until_locked(waiter);
	fill_page(handler, hold.page);
	pthread_join(holder, NULL);
	if (waitpid(waiter, &status, 0) != waiter || status)
		fail("the waiting process");
	close(handler);
}

void locks(const char *path, long n)
{
	int file = open(path, O_RDWR | O_CREAT, 0600);

	if (file < 0)
		fail(path);
	while (n--)
		contend(file);
}
