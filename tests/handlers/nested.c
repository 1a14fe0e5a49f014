// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls that are nested through the C library, built without frame pointers. The innermost function
 * tells its callers as backtrace() finds them, and then is where probes are hit: at a call, in a
 * system call, and in a loop. Then all is done again, below calls whose returns may be probed.
 *
 *	nested MILLIONS		turns of the loop
 */
#include <execinfo.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define APART __attribute__((noipa))

static void *frames[32];
static int nr_frames;
static unsigned long turns;
static volatile unsigned long sum;
static volatile long first_pass, passes = 2;

APART void plain(long pass, int more);
APART void returning(long pass, int more);

APART void known(void **addresses, int n)
{
	sum += (unsigned long)addresses[0] + (unsigned long)n;
}

APART void called(long pass)
{
	sum += (unsigned long)pass;
}

APART void done(long pass)
{
	sum += (unsigned long)pass;
}

APART void innermost(long pass)
{
	unsigned long i, own = 0;

	if (!pass) {
		nr_frames = backtrace(frames, 32);
	} else {
		for (i = 0; i < (unsigned long)nr_frames; i++)
			if ((unsigned long)((char *)frames[i] - (char *)plain) < 64)
				frames[i] = (char *)returning + ((char *)frames[i] - (char *)plain);
	}
	known(frames, nr_frames);
	called(pass);
	syscall(SYS_getppid);
	for (i = 0; i < turns; i++)
		own += i ^ own << 1;
	done(pass);
	sum += own;
}

static long passing = -1;

APART int by_number(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;

	if (passing >= 0) {
		long pass = passing;

		passing = -1;
		innermost(pass);
	}
	return left < right ? -1 : left > right;
}

APART void sorting(long pass)
{
	int numbers[] = { 5, 3, 9, 1, 7, 2 };

	passing = pass;
	qsort(numbers, 6, sizeof(numbers[0]), by_number);
	sum += (unsigned long)numbers[0];
}

APART void aligned(long pass)
{
	int room[32] __attribute__((aligned(64)));

	room[pass] = 1;
	sorting(pass);
	sum += (unsigned long)room[pass] + (unsigned long)&room % 64;
}

/* The same code twice: while a return is probed, backtrace() finds the kernel's page instead. */
#define NEST(name)                                                                                 \
	APART void name(long pass, int more)                                                       \
	{                                                                                          \
		if (more)                                                                          \
			name(pass, more - 1);                                                      \
		else                                                                               \
			aligned(pass);                                                             \
		sum++;                                                                             \
	}

NEST(plain)
NEST(returning)

static void (*volatile ways[])(long, int) = { plain, returning };

int main(int argc, char **argv)
{
	long pass = first_pass; /* unknown to the compiler, which would begin the loop apart */
	void *first[4];

	turns = argc > 1 ? strtoul(argv[1], NULL, 10) * 1000000 : 1;
	backtrace(first, 4); /* loads a library */
	do		     /* one call of all, so that it has one return address */
		ways[pass](pass, 2);
	while (++pass < passes);
	return 0;
}
