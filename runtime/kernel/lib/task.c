// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Relatives of the current task, in the initial namespace and in its own. Any context:
 * RCU is the only protection that is needed, and that an NMI may use.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/loadavg.h>
#include <linux/sched/task_stack.h>
#include <linux/uidgid.h>
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

/* A thread that has been released has no namespace, although its process still has IDs. */
s64 sw_ns_pid(u32 which)
{
	static const enum pid_type types[] = { PIDTYPE_TGID, PIDTYPE_PID, PIDTYPE_TGID,
					       PIDTYPE_PGID, PIDTYPE_SID };
	struct task_struct *task = current;
	struct pid_namespace *ns;
	s64 pid = 0;

	rcu_read_lock();
	ns = task_active_pid_ns(task);
	if (which == SW_NS_PPID)
		task = rcu_dereference(task->real_parent);
	if (ns && which < ARRAY_SIZE(types))
		pid = __task_pid_nr_ns(task, types[which], ns);
	rcu_read_unlock();
	return pid;
}

s64 sw_ns_user(s64 uid)
{
	return from_kuid_munged(current_user_ns(), KUIDT_INIT((uid_t)uid));
}

s64 sw_ns_group(s64 gid)
{
	return from_kgid_munged(current_user_ns(), KGIDT_INIT((gid_t)gid));
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
