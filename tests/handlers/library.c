// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A shared library (-DLIBRARY), and a program that uses it and nothing else, so that the
 * program runs with the dynamic linker of any guest.
 *
 *	linked	calls the library's function ten times, five of them in a child process
 */
long triple(long value);

#ifdef LIBRARY

__attribute__((noinline)) long triple(long value)
{
	return 3 * value;
}

#else

#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ __volatile__("syscall"
			     : "=a"(result)
			     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			     : "rcx", "r11", "memory");
	return result;
}

__attribute__((force_align_arg_pointer, used)) void _start(void)
{
	long pid = call(SYS_fork, 0, 0, 0, 0), i, sum = 0;

	for (i = 1; i <= 5; i++)
		sum += triple(i);
	if (pid)
		call(SYS_wait4, pid, 0, 0, 0);
	call(SYS_exit_group, sum != 45, 0, 0, 0);
}

#endif
