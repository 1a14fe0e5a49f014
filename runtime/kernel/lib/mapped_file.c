// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the current process has a program or a library in memory.
 *
 * The program is told by what exec has noted in the mm, which no lock protects. A library
 * is searched for among the mappings: the first of a file is that of its beginning.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "core/runtime.h"

/* Actions for the program, and for a mapping that is looked at. */
#define MAPPED_FILE_PROGRAM 2
#define MAPPED_FILE_MAPPING 4

/*
 * A name may change while it is compared: the kernel frees the old one after a grace
 * period, and short ones always end in their place.
 */
static bool mapped_file_is(const struct file *file, const char *name, size_t length, u64 size)
{
	const struct dentry *dentry = file->f_path.dentry;

	return (u64)i_size_read(file_inode(file)) == size &&
	       !strncmp((const char *)READ_ONCE(dentry->d_name.name), name, length + 1);
}

/* 0 if the process does not execute the file. */
static s64 mapped_file_program(struct mm_struct *mm, const char *name, size_t length, u64 size)
{
	const struct file *file;
	bool found;

	rcu_read_lock();
	file = rcu_dereference(mm->exe_file);
	found = file && mapped_file_is(file, name, length, size);
	rcu_read_unlock();
	return found ? (s64)READ_ONCE(mm->end_code) : 0;
}

/* The map's lock is only tried, as in sw_user_module(). */
static s64 mapped_file_library(struct sw_context *c, struct mm_struct *mm, const char *name,
			       size_t length, u64 size)
{
	const struct vm_area_struct *vma;
	unsigned long at = 0;
	s64 found = 0;

	if (irqs_disabled() || !down_read_trylock(&mm->mmap_lock)) {
		c->error = "the mappings of this process cannot be searched here";
		return 0;
	}
	rcu_read_lock();
	while (!found && sw_charge(c, MAPPED_FILE_MAPPING) && (vma = find_vma(mm, at))) {
		if (vma->vm_file && !vma->vm_pgoff &&
		    mapped_file_is(vma->vm_file, name, length, size))
			found = (s64)vma->vm_start;
		at = vma->vm_end;
	}
	rcu_read_unlock();
	up_read(&mm->mmap_lock);
	return found;
}

s64 sw_mapped_address(struct sw_context *c, const char *file, u64 size, s64 from_start,
		      s64 from_end)
{
	struct mm_struct *mm = current->mm;
	size_t length = strlen(file);
	s64 found;

	if (!sw_charge(c, MAPPED_FILE_PROGRAM))
		return 0;
	if (mm) {
		found = mapped_file_program(mm, file, length, size);
		if (found)
			return found + from_end;
		found = mapped_file_library(c, mm, file, length, size);
		if (found)
			return found + from_start;
	}
	if (!c->error)
		c->error = "this process does not have the file of the variable";
	return 0;
}
