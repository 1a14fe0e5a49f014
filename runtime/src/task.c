// SPDX-License-Identifier: GPL-2.0-or-later
/* task.c - relatives of the current task, in the initial name spaces; any context. */
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include "runtime.h"

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
