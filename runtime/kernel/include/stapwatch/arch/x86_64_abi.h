/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86_64_abi.h - definitions given by x86-64's calling conventions and its kernel's
 * user interface: saved registers, arguments, flags. Shared by modules and by the
 * hosted harness.
 */
#ifndef STAPWATCH_ARCH_X86_64_ABI_H
#define STAPWATCH_ARCH_X86_64_ABI_H

/* The kernel's struct pt_regs. */
struct sw_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

/* For kernel code, which knows both structs: refuses to compile if they differ. */
#define SW_CHECK_REGS()                                                                            \
	do {                                                                                       \
		BUILD_BUG_ON(sizeof(struct sw_regs) != sizeof(struct pt_regs));                    \
		BUILD_BUG_ON(offsetof(struct sw_regs, ax) != offsetof(struct pt_regs, ax));        \
		BUILD_BUG_ON(offsetof(struct sw_regs, di) != offsetof(struct pt_regs, di));        \
		BUILD_BUG_ON(offsetof(struct sw_regs, orig_ax) !=                                  \
			     offsetof(struct pt_regs, orig_ax));                                   \
		BUILD_BUG_ON(offsetof(struct sw_regs, ip) != offsetof(struct pt_regs, ip));        \
		BUILD_BUG_ON(offsetof(struct sw_regs, sp) != offsetof(struct pt_regs, sp));        \
	} while (0)

/*
 * For either struct: instruction, stack and frame pointers, and whether the hit was in
 * user mode.
 */
#define SW_REGS_IP(r)	((r)->ip)
#define SW_REGS_SP(r)	((r)->sp)
#define SW_REGS_FP(r)	((r)->bp)
#define SW_REGS_USER(r) ((r)->cs & 3)

/* Bytes by which a call moves the stack pointer, and the return moves it back. */
#define SW_CALL_PUSHES 8

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
/* At the entry function of a system call: the registers of the process that made it. */
#define SW_CALLER(r) ((struct sw_regs *)SW_ARG0(r))
/* The thread_info's status bit that says that a 32-bit program's system call runs (TS_COMPAT). */
#define SW_STATUS_COMPAT 2
/*
 * In a system call: a register, or the low half of another one if a 32-bit program made the call.
 */
#define SW_EITHER_REGISTER(r, native, compat)                                                      \
	(sw_is_compat_call() ? (u64)(u32)(r)->compat : (u64)(r)->native)
#define SW_EITHER_PLACE(r, native, compat) (sw_is_compat_call() ? &(r)->compat : &(r)->native)
/* A system call's fourth argument; the others are in the same registers as a function's. */
#define SW_SYSCALL_ARG3(r) ((r)->r10)

/* Registers that the kernel saves for a signal's handler, from the stack pointer after its return. */
#define SW_SIGNAL_FP 120
#define SW_SIGNAL_SP 160
#define SW_SIGNAL_IP 168

/* The stack pointer of the function that asks. */
static __always_inline unsigned long sw_own_sp(void)
{
	unsigned long sp;

	__asm__ __volatile__("movq %%rsp, %0" : "=r"(sp));
	return sp;
}

/* Flags of open() whose values differ between architectures. */
#define SW_O_DIRECT    040000
#define SW_O_LARGEFILE 0100000
#define SW_O_DIRECTORY 0200000
#define SW_O_NOFOLLOW  0400000

#endif
