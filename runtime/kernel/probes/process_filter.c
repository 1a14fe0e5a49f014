// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * subject.c - which processes a probe is about: those that run a program, one of a number, or the
 * target and what it started.
 *
 * A program is known by its file, not by its name: a file that is put in its place later is another
 * program. Only the addresses of inodes are compared, so that any context may ask.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include "probes/hook.h"

#define MOST_ANCESTORS 64

struct sw_subject {
	struct path binary;	       /* of the probe's places; empty: none */
	struct path program;	       /* empty: any */
	const struct inode *inodes[2]; /* of the program, as processes may know it */
	s64 pid;		       /* 0: any */
	bool family;		       /* those that `pid` started, too */
};

static bool is_same(struct file *file, const struct sw_binary *wanted)
{
	u8 content[SW_MOST_CONTENT];
	loff_t at = wanted->offset;

	if (i_size_read(file_inode(file)) != wanted->size ||
	    wanted->content_size > sizeof(content) ||
	    kernel_read(file, content, wanted->content_size, &at) != wanted->content_size)
		return false;
	return !memcmp(content, wanted->content, wanted->content_size);
}

/* Places in another file than the one that the compiler saw would be anywhere in its code. */
static int find_binary(struct sw_subject *subject, const struct sw_binary *wanted)
{
	int error = kern_path(wanted->path, LOOKUP_FOLLOW, &subject->binary);
	struct file *file;

	if (error)
		return error;
	file = dentry_open(&subject->binary, O_RDONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(file))
		return PTR_ERR(file);
	error = is_same(file, wanted) ? 0 : -ESTALE;
	fput(file);
	return error;
}

static int find_program(struct sw_subject *subject, const char *path)
{
	int error = kern_path(path, LOOKUP_FOLLOW, &subject->program);

	if (error)
		return error;
	subject->inodes[0] = d_inode(subject->program.dentry);
	subject->inodes[1] = d_real_inode(subject->program.dentry);
	return 0;
}

int sw_subject_find(struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	struct sw_subject *subject = sw_hook_alloc(sizeof(*subject));
	int error = 0;

	if (!subject)
		return -ENOMEM;
	p->subject = subject;
	subject->pid = probe->number;
	if (probe->flags & SW_PROBE_TARGET) {
		subject->pid = sw_target();
		subject->family = subject->pid;
	}
	if (probe->program)
		error = find_program(subject, probe->program);
	if (!error && probe->binary)
		error = find_binary(subject, probe->binary);
	if (error)
		sw_subject_forget(p);
	return error;
}

/* A path that was not found is empty, and putting it does nothing. */
void sw_subject_forget(struct sw_placement *p)
{
	struct sw_subject *subject = p->subject;

	p->unready = 0;
	if (!subject)
		return;
	path_put(&subject->program);
	path_put(&subject->binary);
	sw_hook_free(subject, sizeof(*subject));
	p->subject = NULL;
}

struct inode *sw_subject_binary(const struct sw_subject *subject)
{
	return subject->binary.dentry ? d_real_inode(subject->binary.dentry) : NULL;
}

/* The file may be exchanged, but not go within RCU. */
bool sw_subject_runs(const struct sw_subject *subject, struct mm_struct *mm)
{
	const struct inode *inode;
	const struct file *file;

	if (!subject->inodes[0])
		return true;
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
	return sw_subject_runs(subject, mm);
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

const char *sw_subject_refusal(int error)
{
	return error == -ESTALE ? "its file is not the one that the script was made for" : NULL;
}
