// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes the system calls that standard input lists, "number argument...", one a line in
 * hexadecimal; with an argument, as a 32-bit program makes them. A filter refuses each of them with
 * ENOSYS after a tracer has seen it.
 */
#include "world.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long calls[1 << 16][7];

static void refuse_everything(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 6, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
		perror("cannot refuse system calls");
		exit(1);
	}
}

/* The sixth argument is in %ebp, which no constraint names. */
static void call_32(const unsigned long *c)
{
	long result;

	__asm__ volatile("push %%rbp\n\tmov %7, %%rbp\n\tint $0x80\n\tpop %%rbp"
			 : "=a"(result)
			 : "0"(c[0]), "b"(c[1]), "c"(c[2]), "d"(c[3]), "S"(c[4]), "D"(c[5]),
			   "r"(c[6])
			 : "memory", "r8", "r9", "r10", "r11");
}

int main(int argc, char **argv)
{
	unsigned long *c;
	size_t n = 0, i;

	while (c = calls[n], n < (1 << 16) - 1 && scanf("%lx %lx %lx %lx %lx %lx %lx", c, c + 1,
							c + 2, c + 3, c + 4, c + 5, c + 6) == 7)
		n++;
	make_world();
	refuse_everything();
	for (i = 0; i < n && argc > 1; i++)
		call_32(calls[i]);
	for (; i < n; i++)
		syscall((long)calls[i][0], calls[i][1], calls[i][2], calls[i][3], calls[i][4],
			calls[i][5], calls[i][6]);
	syscall(SYS_exit_group, 0);
	return 1;
}
