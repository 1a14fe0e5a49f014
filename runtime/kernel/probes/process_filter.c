// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The processes that a probe is about: those that run a program, one by its id, or
 * the target and its descendants.
 *
 * A program is identified by its file, not by its name: a file that replaces it
 * later is another program. Only the addresses of inodes are compared, which any
 * context may do. The filter's paths hold references to the inodes, so no other
 * inode can get such an address while handlers run.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include "probes/hook.h"

#define PROCESS_FILTER_MOST_ANCESTORS 64

/* Handlers read it without a lock: it does not change between open and close. */
struct sw_process_filter {
	struct path binary;	       /* the file that is probed; empty: none */
	struct path program;	       /* empty: any */
	const struct inode *inodes[2]; /* of the program: as opened, and below an overlay */
	s64 pid;		       /* 0: any */
	bool descendants;	       /* those of `pid` match too */
};

static bool process_filter_is_same(struct file *file, const struct sw_binary *wanted)
{
	u8 content[SW_MOST_CONTENT];
	loff_t at = wanted->offset;

	if (i_size_read(file_inode(file)) != wanted->size ||
	    wanted->content_size > sizeof(content) ||
	    kernel_read(file, content, wanted->content_size, &at) != wanted->content_size)
		return false;
	return !memcmp(content, wanted->content, wanted->content_size);
}

/*
 * The probed offsets are valid only in the file that the compiler read. In any
 * other file they could be anywhere in the code.
 */
static int process_filter_find_binary(struct sw_process_filter *filter,
				      const struct sw_binary *wanted)
{
	int error = kern_path(wanted->path, LOOKUP_FOLLOW, &filter->binary);
	struct file *file;

	if (error)
		return error;
	file = dentry_open(&filter->binary, O_RDONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(file))
		return PTR_ERR(file);
	error = process_filter_is_same(file, wanted) ? 0 : -ESTALE;
	fput(file);
	return error;
}

static int process_filter_find_program(struct sw_process_filter *filter, const char *path)
{
	int error = kern_path(path, LOOKUP_FOLLOW, &filter->program);

	if (error)
		return error;
	filter->inodes[0] = d_inode(filter->program.dentry);
	filter->inodes[1] = d_real_inode(filter->program.dentry);
	return 0;
}

int sw_process_filter_open(struct sw_attachment *a)
{
	const struct sw_processes *wanted = a->probe->processes;
	struct sw_process_filter *filter = sw_hook_alloc(sizeof(*filter));
	int error = 0;

	if (!filter)
		return -ENOMEM;
	a->filter = filter;
	filter->pid = wanted->pid;
	if (wanted->target) {
		filter->pid = sw_target();
		filter->descendants = filter->pid;
	}
	if (wanted->program)
		error = process_filter_find_program(filter, wanted->program);
	if (!error && wanted->binary)
		error = process_filter_find_binary(filter, wanted->binary);
	if (error)
		sw_process_filter_close(a);
	return error;
}

/*
 * No handler runs any more. A path that was not found is empty, and putting it does
 * nothing.
 */
void sw_process_filter_close(struct sw_attachment *a)
{
	struct sw_process_filter *filter = a->filter;

	a->filter_error = 0;
	if (!filter)
		return;
	path_put(&filter->program);
	path_put(&filter->binary);
	sw_hook_free(filter, sizeof(*filter));
	a->filter = NULL;
}

struct inode *sw_process_filter_binary(const struct sw_process_filter *filter)
{
	return filter->binary.dentry ? d_real_inode(filter->binary.dentry) : NULL;
}

/*
 * An exec may replace exe_file at any time. The kernel frees struct file after a
 * grace period, so the one that is read here stays valid in the read section; its
 * inode is compared, not used, behind it.
 */
bool sw_process_filter_matches_mm(const struct sw_process_filter *filter, struct mm_struct *mm)
{
	const struct inode *inode;
	const struct file *file;

	if (!filter->inodes[0])
		return true;
	rcu_read_lock();
	file = rcu_dereference(mm->exe_file);
	inode = file ? file_inode(file) : NULL;
	rcu_read_unlock();
	return inode && (inode == filter->inodes[0] || inode == filter->inodes[1]);
}

/* Parents are freed after a grace period, so the walk up is safe while they exit. */
static bool process_filter_matches_pid(const struct sw_process_filter *filter,
				       const struct task_struct *task)
{
	bool found = false;
	u32 i;

	if (!filter->pid || task->tgid == filter->pid)
		return true;
	if (!filter->descendants)
		return false;
	rcu_read_lock();
	for (i = 0; i < PROCESS_FILTER_MOST_ANCESTORS && task->tgid > 1 && !found; i++) {
		task = rcu_dereference(task->real_parent);
		found = task->tgid == filter->pid;
	}
	rcu_read_unlock();
	return found;
}

/* `task` is the current one, or its task_lock() is held: its mm does not go meanwhile. */
static bool process_filter_matches(const struct sw_process_filter *filter,
				   const struct task_struct *task)
{
	struct mm_struct *mm = task->mm;

	if (!mm || task->flags & PF_KTHREAD || !process_filter_matches_pid(filter, task))
		return false;
	return sw_process_filter_matches_mm(filter, mm);
}

bool sw_process_filter_matches_current(const struct sw_process_filter *filter)
{
	return process_filter_matches(filter, current);
}

bool sw_process_filter_matches_task(const struct sw_process_filter *filter,
				    struct task_struct *task)
{
	bool found;

	task_lock(task);
	found = process_filter_matches(filter, task);
	task_unlock(task);
	return found;
}

const char *sw_process_filter_explain(int error)
{
	return error == -ESTALE ? "its file is not the one that the script was made for" : NULL;
}
