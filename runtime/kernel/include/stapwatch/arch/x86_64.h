/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86_64.h - per-CPU access through %gs, the preemption count, atomics, quiet calls, cycles.
 *
 * target.h names the per-CPU variables: "__preempt_count", or "pcpu_hot+8" on kernels that have
 * this struct.
 */
#ifndef STAPWATCH_ARCH_X86_64_H
#define STAPWATCH_ARCH_X86_64_H

#include "stapwatch/arch/x86_64_abi.h"
#include "stapwatch/target.h"

static __always_inline void sw_preempt_disable(void)
{
	__asm__ __volatile__("incl %%gs:" SW_PREEMPT_COUNT ::: "memory", "cc");
}

/* The count's top bit is clear while a reschedule is due, so zero means that this was the last
 * level and a reschedule is due. */
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

/* A process's own %fs: the kernel does not use it. */
static __always_inline s64 sw_thread_pointer(void)
{
	u32 low, high;

	__asm__ __volatile__("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000100)); /* FS.base */
	return (s64)((u64)high << 32 | low);
}

static __always_inline u32 sw_exchange(u32 *p, u32 v)
{
	__asm__ __volatile__("xchgl %0, %1" : "+r"(v), "+m"(*p)::"memory");
	return v;
}

/* x86 processors see stores in order. */
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

/* Takes one from a word that only this CPU writes. Returns whether it is zero then. */
static __always_inline bool sw_count_down(u32 *n)
{
	bool zero;

	__asm__ __volatile__("decl %0" : "+m"(*n), "=@ccz"(zero));
	return zero;
}

/*
 * Calls a function without arguments and result that is defined with sw_saves_registers. The
 * call changes no register, so a handler that makes it on a rare path saves none on the
 * others. The stack pointer as an operand gives the function that calls its stack frame first.
 */
#define sw_saves_registers __attribute__((no_caller_saved_registers))
#define sw_call_quietly(function)                                                                  \
	do {                                                                                       \
		register unsigned long sp_ __asm__("rsp");                                         \
		__asm__ __volatile__("call " #function : "+r"(sp_) : : "memory", "cc");            \
	} while (0)

#ifdef SW_KERNEL_HEADERS
#include <linux/timex.h>

/* Cycles in a millisecond, as get_cycles() counts them; 0: it counts none. */
static inline u32 sw_cycles_khz(void)
{
	return boot_cpu_has(X86_FEATURE_TSC) ? tsc_khz : 0;
}
#endif

#endif
