/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hosted.h - a process that replaces the kernel, for tests under sanitizers: one thread, which
 * acts as one CPU after another. The calling convention is the architecture's, so that generated
 * handlers are the same; the harness fills the registers.
 */
#ifndef STAPWATCH_ARCH_HOSTED_H
#define STAPWATCH_ARCH_HOSTED_H

#if defined(__x86_64__)
#include "stapwatch/arch/x86_64_abi.h"
#else
#error "this architecture has no ABI header"
#endif

/* Block of the lane that the process acts as. */
extern __thread void *sw_user_area;

static __always_inline void sw_preempt_disable(void)
{
}

static __always_inline void sw_preempt_enable(void)
{
}

static __always_inline s64 sw_thread_pointer(void)
{
	return (s64)__builtin_thread_pointer();
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

static __always_inline bool sw_count_down(u32 *n)
{
	return !--*n;
}

#define sw_saves_registers
#define sw_call_quietly(function) function()

#define SW_KRETPROBE_DATA 0

#endif
