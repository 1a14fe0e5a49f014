// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Call chains of the kernel and of the current process, and names of addresses.
 *
 * The kernel's unwinder starts in the handler. The frames between the handler and the
 * probed function are removed: our own, those of ftrace or the kprobe, an interrupt's.
 */
#include <linux/kallsyms.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include "core/runtime.h"

#define BACKTRACE_MAX_FRAMES 64
/* Most bytes between a function's start and the address of a hit at its entry. */
#define BACKTRACE_NEAR 16
/* Frames among which the probed function is looked for. */
#define BACKTRACE_MAX_SKIPPED 48
/* Actions for a frame of the kernel's stack, for one of a process's, for a symbol, a file. */
#define BACKTRACE_KERNEL 10
#define BACKTRACE_USER	 2
#define BACKTRACE_SYMBOL 30
#define BACKTRACE_FILE	 10

/* Address of the hit in the kernel; 0 if it was in user space or the probe has no registers. */
static u64 backtrace_hit_address(const struct sw_context *c)
{
	return c->regs && !user_mode((struct pt_regs *)c->regs) ? SW_REGS_IP(c->regs) : 0;
}

/* Looks for as many frames as can be paid for, and fails if there may be more. */
u32 sw_stack(struct sw_context *c, u64 *to, u32 most)
{
	unsigned long entries[BACKTRACE_MAX_FRAMES];
	u64 ip = backtrace_hit_address(c);
	u32 payable = BACKTRACE_MAX_FRAMES, n, first = 0, i;

	if (sw_actions_left(c) < BACKTRACE_MAX_FRAMES * BACKTRACE_KERNEL)
		payable = sw_actions_left(c) > 0 ? sw_actions_left(c) / BACKTRACE_KERNEL : 0;
	n = stack_trace_save(entries, payable, 0);
	if (n == payable && payable < BACKTRACE_MAX_FRAMES)
		n++;
	if (!sw_charge(c, n * BACKTRACE_KERNEL))
		return 0;
	for (i = 0; i < n && i < BACKTRACE_MAX_SKIPPED; i++) {
		if (ip && entries[i] - ip + BACKTRACE_NEAR <= 2 * BACKTRACE_NEAR) {
			first = i + 1;
			break;
		}
		if (within_module(entries[i], THIS_MODULE))
			first = i + 1;
	}
	i = 0;
	if (ip && i < most)
		to[i++] = ip;
	for (; first < n && i < most; first++)
		to[i++] = entries[first];
	return i;
}

/* The probe is at a function's first instruction. */
static bool backtrace_is_entry(const struct sw_context *c)
{
	return c->regs && sw_script.probes[c->probe].flags & SW_PROBE_ENTRY;
}

u32 sw_user_stack(struct sw_context *c, u64 *to, u32 most)
{
	struct pt_regs *regs = current->mm ? task_pt_regs(current) : NULL;
	unsigned long frame[2];
	u64 at, next;
	u32 n = 0;

	if (!regs || !user_mode(regs))
		return 0;
	if (c->regs && user_mode((struct pt_regs *)c->regs))
		regs = (struct pt_regs *)c->regs;
	if (n < most)
		to[n++] = SW_REGS_IP(regs);
	/* a function that has just been called has no frame yet: its return address is on top */
	if (backtrace_is_entry(c) && n < most &&
	    !copy_from_user_nofault(frame, (const void __user *)SW_REGS_SP(regs), sizeof(frame[0])))
		to[n++] = frame[0];
	for (at = SW_REGS_FP(regs); n < most && sw_charge(c, BACKTRACE_USER); at = next) {
		if (at % 8 || at < SW_REGS_SP(regs) ||
		    copy_from_user_nofault(frame, (const void __user *)at, sizeof(frame)))
			break;
		next = frame[0];
		if (!frame[1])
			break;
		to[n++] = frame[1];
		if (next <= at)
			break;
	}
	return n;
}

bool sw_symbol(struct sw_context *c, char *to, u32 size, u64 address, bool whole)
{
	char name[KSYM_SYMBOL_LEN];

	to[0] = 0;
	if (!sw_charge(c, BACKTRACE_SYMBOL))
		return false;
	if (whole)
		sprint_symbol(name, address);
	else
		sprint_symbol_no_offset(name, address);
	if (name[0] == '0' && name[1] == 'x') {
		s64 number = (s64)address;

		sw_format(c, to, size, "0x%x", &number, NULL);
		return false;
	}
	if (!whole)
		name[strcspn(name, " ")] = 0; /* a module's name follows */
	sw_copy(c, to, size, name);
	if (whole && !strchr(name, '['))
		sw_concat(c, to, size, to, " [kernel]");
	return true;
}

/*
 * The map's lock is only tried: a handler may have interrupted its holder. Releasing it
 * may wake others, which needs interrupts on.
 */
bool sw_user_module(struct sw_context *c, char *to, u32 size, u64 address, u64 *offset)
{
	struct mm_struct *mm = current->mm;
	const struct vm_area_struct *vma;
	bool found = false;

	if (!sw_charge(c, BACKTRACE_FILE))
		return false;
	if (!mm || irqs_disabled() || !down_read_trylock(&mm->mmap_lock))
		return false;
	vma = find_vma(mm, address);
	if (vma && vma->vm_start <= address && vma->vm_file) {
		const struct dentry *file = vma->vm_file->f_path.dentry;

		rcu_read_lock();
		found = sw_kernel_string(c, to, size,
					 (u64)(unsigned long)READ_ONCE(file->d_name.name));
		rcu_read_unlock();
		*offset = address - vma->vm_start + ((u64)vma->vm_pgoff << PAGE_SHIFT);
	}
	up_read(&mm->mmap_lock);
	return found;
}

u64 sw_stack_low(void)
{
	return (u64)(unsigned long)end_of_stack(current);
}

u64 sw_stack_size(void)
{
	return THREAD_SIZE;
}

u64 sw_stack_pointer(void)
{
	return current_stack_pointer;
}
