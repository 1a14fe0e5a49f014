/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arch_user.h - a normal process in place of a kernel, for tests under sanitizers: one thread,
 * which acts as one CPU after another. The calling convention is x86-64's, so that generated
 * handlers are the same.
 */
#ifndef STAPWATCH_ARCH_USER_H
#define STAPWATCH_ARCH_USER_H

/* As struct sw_regs of arch_x86.h; made up by who fires a handler. */
struct sw_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

/* Block of the lane that the process acts as. */
extern void *sw_user_area;

static __always_inline void sw_preempt_disable(void)
{
}

static __always_inline void sw_preempt_enable(void)
{
}

static __always_inline void *sw_this_cpu_area(void)
{
	return sw_user_area;
}

static __always_inline u32 sw_exchange(u32 *p, u32 v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

#define sw_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define sw_load_acquire(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)

static __always_inline void sw_relax(void)
{
}

#define SW_KRETPROBE_DATA 0

#define SW_ARG0(r)	   ((r)->di)
#define SW_ARG1(r)	   ((r)->si)
#define SW_ARG2(r)	   ((r)->dx)
#define SW_ARG3(r)	   ((r)->cx)
#define SW_ARG4(r)	   ((r)->r8)
#define SW_ARG5(r)	   ((r)->r9)
#define SW_RETURN_VALUE(r) ((r)->ax)
#define SW_STACK_ARG(r, n) ((r)->sp + 8 + 8 * ((n)-6))

#define SW_SYSCALL_ARG0(r) ((r)->di)
#define SW_SYSCALL_ARG1(r) ((r)->si)
#define SW_SYSCALL_ARG2(r) ((r)->dx)
#define SW_SYSCALL_ARG3(r) ((r)->r10)
#define SW_SYSCALL_ARG4(r) ((r)->r8)
#define SW_SYSCALL_ARG5(r) ((r)->r9)

#endif
