// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Relatives of the current task, in the initial namespace. Any context: RCU is the only
 * protection that is needed, and that an NMI may use.
 */
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/loadavg.h>
#include <linux/sched/task_stack.h>
#include "core/runtime.h"

static_assert(SW_COMM_SIZE == TASK_COMM_LEN);

s64 sw_ppid(void)
{
	s64 pid;

	rcu_read_lock();
	pid = rcu_dereference(current->real_parent)->tgid;
	rcu_read_unlock();
	return pid;
}

s64 sw_pgrp(void)
{
	return task_pgrp_nr_ns(current, &init_pid_ns);
}

s64 sw_sid(void)
{
	return task_session_nr_ns(current, &init_pid_ns);
}

u64 sw_task_of(s64 tid)
{
	struct task_struct *task;

	if (tid <= 0 || tid > INT_MAX)
		return 0;
	rcu_read_lock();
	task = pid_task(find_pid_ns((int)tid, &init_pid_ns), PIDTYPE_PID);
	rcu_read_unlock();
	return (u64)(unsigned long)task;
}

u64 sw_user_address(void)
{
	return current->mm ? SW_REGS_IP(task_pt_regs(current)) : 0;
}

u64 sw_average_load(u32 n)
{
	return n < 3 ? READ_ONCE(avenrun[n]) : 0;
}

void sw_kernel_log(u32 level, const char *text)
{
	printk("%c%c%s\n", KERN_SOH_ASCII, (char)('0' + level), text);
}
