// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walks up its own stack at each instruction of a piece of work, and compares with backtrace(),
 * which goes by .eh_frame itself.
 *
 *   unwind_steps TABLES.so SAMPLES
 *
 * The processor traps after each instruction, so all prologues and epilogues on the way are met, those
 * of the C library too, and its linkage tables. Prints the samples, the walks that are equal, and
 * those that are a beginning of the other one's. Anything else ends it with status 1.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include "stapwatch.h"
#include "lib/fault_safe.h"

#define FRAMES 32
#define TRAP   0x100
#define FEW    50 /* the walk begins in the handler at one of so many traps */

static long samples, most, equal, cut, wrong;

int sw_fetch_user(void *to, u64 address, u32 size)
{
	struct iovec local = { to, size };
	struct iovec remote = { (void *)(unsigned long)address, size };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -1;
}

bool sw_charge_more(struct sw_context *c)
{
	return false;
}

u64 sw_unwind_return(struct sw_context *c, struct sw_unwinder *u, u64 at, u64 address)
{
	return address;
}

/* The last address is 0 if the walk did not come to its end. */
static u32 walk(u64 *to, const greg_t *gregs)
{
	struct sw_context c = { .actions = 1 << 20 };
	enum sw_unwind_step step = SW_UNWIND_CALLER;
	struct sw_unwinder u = { .ip = (u64)gregs[REG_RIP],
				 .stack = (u64)gregs[REG_RSP],
				 .frame = (u64)gregs[REG_RBP] };
	u32 n = 0;

	sw_unwind_locate(&c, &u, getauxval(AT_PHDR));
	while (n < FRAMES - 1 && step == SW_UNWIND_CALLER) {
		to[n++] = u.ip;
		step = sw_unwind_step(&c, &u);
	}
	if (step != SW_UNWIND_END)
		to[n++] = 0;
	return n;
}

static void compare(const u64 *ours, u32 nr_ours, void *const *theirs, u32 nr_theirs)
{
	u32 i;

	samples++;
	for (i = 0; i < nr_ours && i < nr_theirs && ours[i] == (u64)(unsigned long)theirs[i]; i++)
		;
	if (i == nr_ours && i == nr_theirs) {
		equal++;
	} else if (i + 1 == nr_ours && !ours[i]) {
		cut++;
	} else {
		wrong++;
		fprintf(stderr, "frame %u of %u, %u: %p and %p\n", i, nr_ours, nr_theirs,
			(void *)(unsigned long)(i < nr_ours ? ours[i] : 0),
			i < nr_theirs ? theirs[i] : NULL);
	}
}

static u32 place_of(void *const *frames, u32 n, u64 address)
{
	u32 i;

	for (i = 0; i < n && (u64)(unsigned long)frames[i] != address; i++)
		;
	return i;
}

static void trapped(int number, siginfo_t *info, void *context)
{
	greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
	void *theirs[FRAMES + 8];
	u64 ours[FRAMES + 1];
	greg_t here[NGREG];
	u32 nr, from;

	nr = (u32)backtrace(theirs, FRAMES);
	from = place_of(theirs, nr, (u64)gregs[REG_RIP]);
	compare(ours, walk(ours, gregs), theirs + from, nr - from);
	if (samples % FEW == 0 && wrong <= 5) {
		u32 nr_ours, i;

		__asm__("lea (%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2"
			: "=r"(here[REG_RIP]), "=r"(here[REG_RSP]), "=r"(here[REG_RBP]));
		nr_ours = walk(ours, here);
		for (i = 0; i < nr_ours && ours[i] != (u64)gregs[REG_RIP]; i++)
			;
		compare(ours + i, nr_ours - i, theirs + from, nr - from);
	}
	if (samples >= most || wrong > 5)
		gregs[REG_EFL] &= ~TRAP;
}

static void begun(int number, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP;
}

/* ---------------------------------------------------------------- the work */

static char text[256];
static volatile long sum;

static noinline long with_alloca(long n)
{
	char *room = alloca((size_t)n * 16 + 16);

	memset(room, (int)n, (size_t)n * 16 + 16);
	sum += room[n];
	return n ? with_alloca(n - 1) + room[n] : strtol("123", NULL, 10);
}

/*
 * With a large ALIGNED, the compiler keeps the old stack pointer elsewhere. Not with frame pointers:
 * its .eh_frame is wrong in the epilogue then, and backtrace() crashes by it.
 */
static noinline long with_aligned(long n)
{
	char room[64] __attribute__((aligned(ALIGNED)));
	char *more = alloca((size_t)n + 1);

	snprintf(room, sizeof(room), "%ld %s", n, getenv("HOME") ? "home" : "");
	memcpy(more, room, (size_t)n + 1);
	sum += more[0];
	return (long)strlen(room) + with_alloca(3);
}

static int by_number(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;

	sum += with_aligned(left & 3);
	return left < right ? -1 : left > right;
}

static noinline void work(int depth)
{
	int numbers[] = { 5, 3, 9, 1, 7, 2 };

	if (depth) {
		work(depth - 1);
		sum++;
		return;
	}
	/* the first call goes through the linkage table to the dynamic linker */
	if (samples)
		sum += (long)strspn(text, "12");
	snprintf(text, sizeof(text), "%.3f %s %d", strtod("2.5", NULL), "text", 12);
	free(malloc(100));
	qsort(numbers, 6, sizeof(numbers[0]), by_number);
	sum += strcasecmp("Some", "sOMe") + atoi("77");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	struct sw_script script = { 0 };
	void *first[4], *tables = dlopen(argv[1], RTLD_NOW);

	most = atol(argv[2]);
	if (!tables) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	script.nr_unwind = *(u32 *)dlsym(tables, "nr_tables");
	script.unwind = *(const struct sw_unwind_table **)dlsym(tables, "tables");
	*(struct sw_script *)&sw_script = script;
	backtrace(first, 4); /* loads a library */
	work(1);
	action.sa_sigaction = trapped;
	sigaction(SIGTRAP, &action, NULL);
	action.sa_sigaction = begun;
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	while (samples < most && wrong <= 5)
		work(3);
	printf("%ld %ld %ld\n", samples, equal, cut);
	return wrong != 0;
}
