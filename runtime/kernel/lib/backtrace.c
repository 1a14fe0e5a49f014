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
#include <linux/uprobes.h>
#include "core/runtime.h"
#include "lib/fault_safe.h"

#define BACKTRACE_MAX_FRAMES 64
/* Most bytes between a function's start and the address of a hit at its entry. */
#define BACKTRACE_NEAR 16
/* Frames among which the probed function is looked for. */
#define BACKTRACE_MAX_SKIPPED 48
/*
 * Actions for a frame of the kernel's stack, for one of a process's, for a return that is pending
 * there, for a symbol, a file.
 */
#define BACKTRACE_KERNEL 10
#define BACKTRACE_USER	 3
#define BACKTRACE_RETURN 2
#define BACKTRACE_SYMBOL 36
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

/*
 * What the kernel has told the current program about itself when it was started. A 32-bit program's
 * words are half as wide, so nothing of its is found.
 */
static u64 backtrace_program_headers(const struct mm_struct *mm)
{
	u32 i;

	for (i = 0; i + 1 < ARRAY_SIZE(mm->saved_auxv); i += 2)
		if (mm->saved_auxv[i] == AT_PHDR)
			return mm->saved_auxv[i + 1];
	return 0;
}

/*
 * The list is the current task's own. A handler may have interrupted the kernel while that frees
 * an instance, so the instances are read as if they could be anywhere.
 */
u64 sw_unwind_return(struct sw_context *c, struct sw_unwinder *u, u64 at, u64 address)
{
#ifdef CONFIG_UPROBES
	struct {
		unsigned long stack, address;
	} of;
	unsigned long next;

	BUILD_BUG_ON(offsetof(struct return_instance, orig_ret_vaddr) !=
		     offsetof(struct return_instance, stack) + sizeof(of.stack));
	while (u->returns && sw_charge(c, BACKTRACE_RETURN)) {
		if (sw_fetch_kernel(&of, u->returns + offsetof(struct return_instance, stack),
				    sizeof(of)) ||
		    sw_fetch_kernel(&next, u->returns + offsetof(struct return_instance, next),
				    sizeof(next)))
			break;
		if (of.stack > at)
			return address;
		u->returns = next;
		if (of.stack == at)
			return of.address;
	}
#endif
	return address;
}

static u64 backtrace_pending_returns(void)
{
#ifdef CONFIG_UPROBES
	if (current->utask)
		return (u64)(unsigned long)current->utask->return_instances;
#endif
	return 0;
}

/* Go to the caller by the frame pointer. Returns false if there is none. */
static bool backtrace_frame_pointer(struct sw_context *c, struct sw_unwinder *u, bool is_entry)
{
	u64 frame[2];

	if (!sw_charge(c, BACKTRACE_USER))
		return false;
	/* a function that has just been called has no frame yet: its return address is on top */
	if (is_entry && !sw_fetch_user(frame, u->stack, sizeof(frame[0]))) {
		u->ip = sw_unwind_return(c, u, u->stack, frame[0]);
		u->stack += 8;
		u->is_call = true;
		return true;
	}
	if (u->frame % 8 || u->frame < u->stack || sw_fetch_user(frame, u->frame, sizeof(frame)) ||
	    !frame[1])
		return false;
	u->ip = sw_unwind_return(c, u, u->frame + 8, frame[1]);
	u->stack = u->frame + 16;
	u->frame = frame[0];
	u->is_call = true;
	return true;
}

u32 sw_user_stack(struct sw_context *c, u64 *to, u32 most)
{
	struct pt_regs *regs = current->mm ? task_pt_regs(current) : NULL;
	bool is_entry = backtrace_is_entry(c);
	struct sw_unwinder u;
	u32 n = 0;

	if (!regs || !user_mode(regs))
		return 0;
	if (c->regs && user_mode((struct pt_regs *)c->regs))
		regs = (struct pt_regs *)c->regs;
	u.ip = SW_REGS_IP(regs);
	u.stack = SW_REGS_SP(regs);
	u.frame = SW_REGS_FP(regs);
	u.is_call = false;
	u.found = 0;
	u.returns = backtrace_pending_returns();
	if (sw_script.nr_unwind)
		sw_unwind_locate(c, &u, backtrace_program_headers(current->mm));
	while (n < most) {
		to[n++] = u.ip;
		switch (sw_unwind_step(c, &u)) {
		case SW_UNWIND_CALLER:
			break;
		case SW_UNWIND_NO_TABLE:
			if (!backtrace_frame_pointer(c, &u, is_entry && n == 1))
				return n;
			break;
		case SW_UNWIND_LOST:
			if (n < most)
				to[n++] = 0;
			return n;
		case SW_UNWIND_END:
			return n;
		}
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
