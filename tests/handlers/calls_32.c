// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls of a 32-bit program, by numbers of its own: compiled without a C library.
 *
 *	gcc -m32 -O1 -nostdlib -static -ffreestanding -fno-pic
 */
/* Numbers of i386. */
enum {
	GETPID = 20,
	OPEN = 5,
	READ = 3,
	PREAD64 = 180,
	LLSEEK = 140,
	LSEEK = 19,
	FTRUNCATE64 = 194,
	FALLOCATE = 324,
	SYNC_FILE_RANGE = 314,
	MMAP2 = 192,
	MUNMAP = 91,
	STAT64 = 195,
	OPENAT = 295,
	NANOSLEEP = 162,
	CLOCK_NANOSLEEP_TIME64 = 407,
	CHOWN = 182,
	KILL = 37,
	CLOSE = 6,
	EXIT_GROUP = 252,
};

static const char path[] = "/etc/passwd", missing[] = "/no/such/file";
static char buffer[256];
static long long position;
static const unsigned int moment[] = { 0, 250 };
static const long long long_moment[] = { 0, 750 };

/* The sixth argument is in %ebp, which the compiler may use itself. */
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	long result;

	__asm__ volatile("pushl %[f]\n\tpushl %%ebp\n\tmovl 4(%%esp), %%ebp\n\tint $0x80\n\t"
			 "popl %%ebp\n\taddl $4, %%esp"
			 : "=a"(result)
			 : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "g"(f)
			 : "memory");
	return result;
}

void _start(void)
{
	long fd, pid, map, i;

	/* a handler reads only what is in memory */
	*(volatile const char *)path;
	*(volatile const char *)missing;
	*(volatile const int *)moment;
	*(volatile const long long *)long_moment;
	for (i = 0; i < 3; i++)
		pid = call(GETPID, 0, 0, 0, 0, 0, 0);
	fd = call(OPEN, (long)path, 0, 0, 0, 0, 0);
	call(READ, fd, (long)buffer, 7, 0, 0, 0);
	call(PREAD64, fd, (long)buffer, 5, 2, 1, 0);
	call(LLSEEK, fd, 1, 2, (long)&position, 0, 0);
	call(LSEEK, fd, -3, 2, 0, 0, 0);
	call(FTRUNCATE64, -1, 5, 1, 0, 0, 0);
	call(FALLOCATE, -1, 1, 2, 1, 3, 1);
	call(SYNC_FILE_RANGE, -1, 1, 2, 3, 4, 7);
	map = call(MMAP2, 0, 4096, 1, 2, fd, 0);
	call(MUNMAP, map, 4096, 0, 0, 0, 0);
	call(MMAP2, 0, 4096, 1, 2, -1, 3);
	call(STAT64, (long)path, (long)buffer, 0, 0, 0, 0);
	call(OPENAT, -100, (long)missing, 0x80000, 0, 0, 0);
	call(NANOSLEEP, (long)moment, 0, 0, 0, 0, 0);
	call(CLOCK_NANOSLEEP_TIME64, 1, 0, (long)long_moment, 0, 0, 0);
	call(CHOWN, (long)missing, -1, 65534, 0, 0, 0);
	call(KILL, pid, 0, 0, 0, 0, 0);
	call(CLOSE, fd, 0, 0, 0, 0, 0);
	call(EXIT_GROUP, 0, 0, 0, 0, 0, 0);
}
