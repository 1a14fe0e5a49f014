// SPDX-License-Identifier: GPL-2.0-or-later
/* task.c - who runs on this CPU, in the initial name spaces; any context. */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/user_namespace.h>
#include "runtime.h"

/* Zeroes what follows the first NUL of eight bytes in memory order. */
static u64 cut_behind_nul(u64 word, bool *ended)
{
	u64 nul = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;

	if (*ended)
		return 0;
	if (!nul)
		return word;
	*ended = true;
	return word & (((nul & -nul) >> 7) - 1);
}

/* Another CPU may rename the task meanwhile: the copy is cut and ended by what was copied. */
void sw_execname(char *to)
{
	u64 words[SW_COMM_SIZE / 8];
	bool ended = false;

	BUILD_BUG_ON(SW_COMM_SIZE != TASK_COMM_LEN);
	memcpy(words, current->comm, sizeof(words));
	words[0] = cut_behind_nul(words[0], &ended);
	words[1] = cut_behind_nul(words[1], &ended);
	memcpy(to, words, sizeof(words));
	to[SW_COMM_SIZE - 1] = 0;
}

s64 sw_pid(void)
{
	return current->tgid;
}

s64 sw_tid(void)
{
	return current->pid;
}

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

s64 sw_uid(void)
{
	return from_kuid_munged(&init_user_ns, current_uid());
}

s64 sw_euid(void)
{
	return from_kuid_munged(&init_user_ns, current_euid());
}

s64 sw_gid(void)
{
	return from_kgid_munged(&init_user_ns, current_gid());
}

s64 sw_egid(void)
{
	return from_kgid_munged(&init_user_ns, current_egid());
}

s64 sw_cpu(void)
{
	return raw_smp_processor_id();
}

u64 sw_task(void)
{
	return (u64)current;
}
