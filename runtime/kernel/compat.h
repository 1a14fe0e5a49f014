/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All differences between kernel versions are handled here and in no other file.
 * Newest kernel first.
 *
 * A feature is detected by its presence, never by a version number. Macros and
 * configuration symbols are tested here. The preprocessor cannot test for functions
 * and types, so Kbuild looks for them in the kernel's headers and defines SW_HAVE_*.
 */
#ifndef STAPWATCH_COMPAT_H
#define STAPWATCH_COMPAT_H

/* Cycles by which a hook at sys_enter or sys_exit delays a system call. In 7.0 it has more to do. */
#ifdef SYSCALL_WORK_SYSCALL_RSEQ_SLICE
#define SW_SYSCALL_CYCLES 76
#else
#define SW_SYSCALL_CYCLES 60
#endif

/* 6.15: hrtimer_setup() takes the callback; 6.18 hides the field. */
#ifdef SW_HAVE_HRTIMER_SETUP
#define sw_hrtimer_setup(timer, callback, mode)                                                    \
	hrtimer_setup(timer, callback, CLOCK_MONOTONIC, mode)
#else
#define sw_hrtimer_setup(timer, callback, mode)                                                    \
	do {                                                                                       \
		hrtimer_init(timer, CLOCK_MONOTONIC, mode);                                        \
		(timer)->function = (callback);                                                    \
	} while (0)
#endif

/* 6.2 renamed del_timer_sync(); 6.15 removed the old name. */
#ifdef SW_HAVE_TIMER_DELETE_SYNC
#define sw_timer_delete_sync(timer) timer_delete_sync(timer)
#else
#define sw_timer_delete_sync(timer) del_timer_sync(timer)
#endif

/* 6.3 made vm_flags read-only; functions change it. */
#ifdef SW_HAVE_VM_FLAGS_SET
#define sw_vm_flags_change(vma, set, clear) vm_flags_mod(vma, set, clear)
#else
#define sw_vm_flags_change(vma, set, clear)                                                        \
	((vma)->vm_flags = ((vma)->vm_flags | (set)) & ~(unsigned long)(clear))
#endif

/*
 * 5.11 gives every ftrace callback the function's arguments, so that none needs all
 * registers saved, which costs 26 instructions a hit. The same release inverted the
 * recursion flag: before, a callback that guards itself had to set a flag; since
 * then, callbacks that do not guard themselves set one.
 */
#if defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) || defined(CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS)
#define SW_FTRACE_ARGUMENTS 0
#else
#define SW_FTRACE_ARGUMENTS FTRACE_OPS_FL_SAVE_REGS
#endif
#ifdef SW_HAVE_TRACE_RECURSION
#define SW_FTRACE_GUARDED 0
#else
#define SW_FTRACE_GUARDED FTRACE_OPS_FL_RECURSION_SAFE
#endif

/* Between these two, RCU's grace periods take less than a millisecond, and interrupt each CPU. */
#ifdef SW_HAVE_RCU_EXPEDITE
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
#define sw_rcu_hurry()	 rcu_expedite_gp()
#define sw_rcu_unhurry() rcu_unexpedite_gp()
#else
#define sw_rcu_hurry()                                                                             \
	do {                                                                                       \
	} while (0)
#define sw_rcu_unhurry()                                                                           \
	do {                                                                                       \
	} while (0)
#endif

/* 5.17 renamed PDE_DATA(). */
#ifdef SW_HAVE_PDE_DATA
#define sw_pde_data(inode) pde_data(inode)
#else
#define sw_pde_data(inode) PDE_DATA(inode)
#endif

/*
 * 6.12: uprobe_register() returns a struct uprobe, and many can be unregistered before
 * one wait for all of their handlers. Before 6.11 a separate function registered a
 * uprobe with a reference counter (semaphore). 6.13 gives handlers a word that lasts
 * from a function's entry to its return.
 */
#if defined(SW_HAVE_UPROBE_REFCTR)
#define sw_uprobe_register(uprobe, inode, at, count, consumer)                                     \
	((void)(uprobe), uprobe_register_refctr(inode, at, count, consumer))
#define sw_uprobe_unregister(uprobe, inode, at, consumer) uprobe_unregister(inode, at, consumer)
#define sw_uprobe_wait()                                                                           \
	do {                                                                                       \
	} while (0)
#else
#define sw_uprobe_register(uprobe, inode, at, count, consumer)                                     \
	PTR_ERR_OR_ZERO(*(uprobe) = uprobe_register(inode, at, count, consumer))
#ifdef SW_HAVE_UPROBE_NOSYNC
#define sw_uprobe_unregister(uprobe, inode, at, consumer) uprobe_unregister_nosync(uprobe, consumer)
#define sw_uprobe_wait()				  uprobe_unregister_sync()
#else
#define sw_uprobe_unregister(uprobe, inode, at, consumer) uprobe_unregister(uprobe, consumer)
#define sw_uprobe_wait()                                                                           \
	do {                                                                                       \
	} while (0)
#endif
#endif
#ifdef SW_HAVE_UPROBE_DATA
#define SW_UPROBE_DATA , __u64 *data
#else
#define SW_UPROBE_DATA
#endif
#ifdef SW_HAVE_UPROBE_FILTER_CTX
#define SW_UPROBE_FILTER_CTX enum uprobe_filter_ctx ctx,
#else
#define SW_UPROBE_FILTER_CTX
#endif

/* A kernel that is not preemptible does not reschedule when preemption is turned on. */
#ifdef CONFIG_PREEMPTION
#define sw_preempt_schedule() __preempt_schedule_notrace()
#else
#define sw_preempt_schedule()                                                                      \
	do {                                                                                       \
	} while (0)
#endif

#endif
