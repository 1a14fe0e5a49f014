/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arch_x86.h - x86-64: per-CPU access through %gs, the preemption count, saved registers, atomics.
 *
 * target.h names the per-CPU variables ("__preempt_count", or "pcpu_hot+8" on kernels that keep it
 * there) and offsets in the kernel's structs.
 */
#ifndef STAPWATCH_ARCH_X86_H
#define STAPWATCH_ARCH_X86_H

#include "stapwatch/target.h"

/* The kernel's struct pt_regs. */
struct sw_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

static __always_inline void sw_preempt_disable(void)
{
	__asm__ __volatile__("incl %%gs:" SW_PREEMPT_COUNT ::: "memory", "cc");
}

/* The count's top bit is clear while a reschedule is due, so zero means: the last one out, and
 * somebody waits. */
static __always_inline void sw_preempt_enable(void)
{
	bool due;

	__asm__ __volatile__("decl %%gs:" SW_PREEMPT_COUNT : "=@cce"(due)::"memory");
	if (unlikely(due))
		sw_preempt_check();
}

static __always_inline void *sw_this_cpu_area(void)
{
	void *area;

	__asm__ __volatile__("movq %%gs:(%1), %0" : "=r"(area) : "r"(sw_areas));
	return area;
}

/* The current task. Constant while a handler runs, so it is read once. */
static __always_inline const u8 *sw_current(void)
{
	const u8 *task;

	__asm__("movq %%gs:" SW_CURRENT_TASK ", %0" : "=r"(task));
	return task;
}

static __always_inline s64 sw_cpu(void)
{
	u32 cpu;

	__asm__ __volatile__("movl %%gs:" SW_CPU_NUMBER ", %0" : "=r"(cpu));
	return cpu;
}

static __always_inline u32 sw_exchange(u32 *p, u32 v)
{
	__asm__ __volatile__("xchgl %0, %1" : "+r"(v), "+m"(*p)::"memory");
	return v;
}

/* Stores are seen in order on x86. */
#define sw_store_release(p, v)                                                                     \
	do {                                                                                       \
		barrier();                                                                         \
		WRITE_ONCE(*(p), (v));                                                             \
	} while (0)

#define sw_load_acquire(p)                                                                         \
	({                                                                                         \
		__typeof__(*(p)) v_ = READ_ONCE(*(p));                                             \
		barrier();                                                                         \
		v_;                                                                                \
	})

static __always_inline void sw_relax(void)
{
	__asm__ __volatile__("pause" ::: "memory");
}

/* Integer argument `n` (0..5) of the function whose entry was probed. */
#define SW_ARG0(r)	   ((r)->di)
#define SW_ARG1(r)	   ((r)->si)
#define SW_ARG2(r)	   ((r)->dx)
#define SW_ARG3(r)	   ((r)->cx)
#define SW_ARG4(r)	   ((r)->r8)
#define SW_ARG5(r)	   ((r)->r9)
#define SW_RETURN_VALUE(r) ((r)->ax)
/* Address of stack argument `n` (6..) at a function's entry. */
#define SW_STACK_ARG(r, n) ((r)->sp + 8 + 8 * ((n)-6))

/* Argument `n` (0..5) of a system call, from the registers its kernel function gets. */
#define SW_SYSCALL_ARG0(r) ((r)->di)
#define SW_SYSCALL_ARG1(r) ((r)->si)
#define SW_SYSCALL_ARG2(r) ((r)->dx)
#define SW_SYSCALL_ARG3(r) ((r)->r10)
#define SW_SYSCALL_ARG4(r) ((r)->r8)
#define SW_SYSCALL_ARG5(r) ((r)->r9)

#endif
