// SPDX-License-Identifier: GPL-2.0-or-later
/* fetch.c - fault-safe reads by the kernel's own functions, which refuse addresses of the wrong
 * half. */
#include <linux/sched.h>
#include "runtime.h"
#include "fetch.h"

int sw_fetch_kernel(void *to, u64 address, u32 size)
{
	return copy_from_kernel_nofault(to, (const void *)address, size) ? -EFAULT : 0;
}

/* A kernel thread has no user memory, though another process's may still be mapped. */
int sw_fetch_user(void *to, u64 address, u32 size)
{
	if (!current->mm)
		return -EFAULT;
	return copy_from_user_nofault(to, (const void __user *)address, size) ? -EFAULT : 0;
}
