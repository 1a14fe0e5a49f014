// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * subject.c - which processes a probe is about: those that run a program, one of a number, or the
 * target and what it started.
 *
 * A program is known by its file, not by its name: a file that is put in its place later is another
 * program. Only the addresses of inodes are compared, so that any context may ask.
 */
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include "hook.h"

#define MOST_ANCESTORS 64

struct sw_subject {
	struct path program;	       /* no dentry: any */
	const struct inode *inodes[2]; /* of the program, as processes may know it */
	s64 pid;		       /* 0: any */
	bool family;		       /* those that `pid` started, too */
};

int sw_subject_find(struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	struct sw_subject *subject = sw_hook_alloc(sizeof(*subject));
	int error = 0;

	if (!subject)
		return -ENOMEM;
	subject->pid = probe->number;
	if (probe->flags & SW_PROBE_TARGET) {
		subject->pid = sw_target();
		subject->family = subject->pid;
	}
	if (probe->program)
		error = kern_path(probe->program, LOOKUP_FOLLOW, &subject->program);
	if (error) {
		sw_hook_free(subject, sizeof(*subject));
		return error;
	}
	if (probe->program) {
		subject->inodes[0] = d_inode(subject->program.dentry);
		subject->inodes[1] = d_real_inode(subject->program.dentry);
	}
	p->subject = subject;
	return 0;
}

void sw_subject_forget(struct sw_placement *p)
{
	struct sw_subject *subject = p->subject;

	p->unready = 0;
	if (!subject)
		return;
	if (subject->program.dentry)
		path_put(&subject->program);
	sw_hook_free(subject, sizeof(*subject));
	p->subject = NULL;
}

/* The process keeps its `mm` while we look. The file may be exchanged, but not go within RCU. */
static bool runs(const struct sw_subject *subject, struct mm_struct *mm)
{
	const struct inode *inode;
	const struct file *file;

	rcu_read_lock();
	file = rcu_dereference(mm->exe_file);
	inode = file ? file_inode(file) : NULL;
	rcu_read_unlock();
	return inode && (inode == subject->inodes[0] || inode == subject->inodes[1]);
}

static bool is_of_pid(const struct sw_subject *subject, const struct task_struct *task)
{
	bool found = false;
	u32 i;

	if (!subject->pid || task->tgid == subject->pid)
		return true;
	if (!subject->family)
		return false;
	rcu_read_lock();
	for (i = 0; i < MOST_ANCESTORS && task->tgid > 1 && !found; i++) {
		task = rcu_dereference(task->real_parent);
		found = task->tgid == subject->pid;
	}
	rcu_read_unlock();
	return found;
}

static bool suits(const struct sw_subject *subject, const struct task_struct *task)
{
	struct mm_struct *mm = task->mm;

	if (!mm || task->flags & PF_KTHREAD || !is_of_pid(subject, task))
		return false;
	return !subject->inodes[0] || runs(subject, mm);
}

bool sw_subject_is_current(const struct sw_subject *subject)
{
	return suits(subject, current);
}

bool sw_subject_is(const struct sw_subject *subject, struct task_struct *task)
{
	bool found;

	task_lock(task);
	found = suits(subject, task);
	task_unlock(task);
	return found;
}
