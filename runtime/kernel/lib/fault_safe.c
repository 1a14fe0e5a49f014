// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fault-safe reads and writes by the kernel's own functions. These check that an address
 * is the kernel's or the user's, and turn page faults off, so nothing sleeps.
 */
#include <linux/percpu.h>
#include <linux/sched.h>
#include "core/runtime.h"
#include "lib/fault_safe.h"

int sw_fetch_kernel(void *to, u64 address, u32 size)
{
	return copy_from_kernel_nofault(to, (const void *)address, size) ? -EFAULT : 0;
}

/* A kernel thread has no user memory, but that of another process may still be mapped. */
int sw_fetch_user(void *to, u64 address, u32 size)
{
	if (!current->mm)
		return -EFAULT;
	return copy_from_user_nofault(to, (const void __user *)address, size) ? -EFAULT : 0;
}

/* copy_to_kernel_nofault() is not exported, but its parts are in the headers. */
int sw_store_kernel(u64 address, u64 value, u32 size)
{
	if (address < TASK_SIZE_MAX)
		return -EFAULT;
	pagefault_disable();
	switch (size) {
	case 1:
		__put_kernel_nofault((u8 *)address, &value, u8, err_fault);
		break;
	case 2:
		__put_kernel_nofault((u16 *)address, &value, u16, err_fault);
		break;
	case 4:
		__put_kernel_nofault((u32 *)address, &value, u32, err_fault);
		break;
	default:
		__put_kernel_nofault((u64 *)address, &value, u64, err_fault);
	}
	pagefault_enable();
	return 0;
err_fault:
	pagefault_enable();
	return -EFAULT;
}

/* Page faults are off: a page that is shared until it is written stays as it is. */
int sw_store_user(u64 address, u64 value, u32 size)
{
	if (!current->mm)
		return -EFAULT;
	return copy_to_user_nofault((void __user *)address, &value, size) ? -EFAULT : 0;
}

u64 sw_percpu_address(s64 distance)
{
	return (u64)(unsigned long)this_cpu_ptr(&this_cpu_off) + distance;
}
