// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/stapwatch/NAME: tables by mmap, events by read and poll, the rest by ioctl.
 *
 * Two mutexes, neither taken inside the other:
 *
 * - the control mutex (control.c) serialises start, stop, arm, disarm, sync and input; it
 *   may be held for as long as attaching and detaching all hooks takes;
 * - the read mutex makes the reader the only consumer of the rings, and protects
 *   `sw_device_holder`. It is not held while the reader sleeps.
 *
 * SW_IOC_CONSUMED takes only the second. SW_IOC_SUMS, SW_IOC_DOUBLES and page faults take
 * neither: the memory is there as long as the module is, and an open file or a mapping holds the
 * module.
 */
#include <linux/file.h>
#include <linux/miscdevice.h>
#include "core/runtime.h"
#include "lib/carry.h"
#include "lib/expire.h"
#include "lib/table.h"

static DEFINE_MUTEX(sw_device_read_mutex);
static char *sw_device_name;

/* The file whose records stay in the rings until it gives them back: the only reader. */
static struct file *sw_device_holder;

/* The module has stopped, and every record has been read: end of file. */
static bool sw_device_is_finished(void)
{
	return sw_state() == SW_STOPPED && !sw_rings_pending();
}

/* The condition of a wait: the reader is on the wait queue already. */
static bool sw_device_is_readable(void)
{
	sw_reader_prepare_sleep();
	return sw_rings_pending() || sw_state() == SW_STOPPED;
}

static ssize_t sw_device_read(struct file *file, char __user *to, size_t room, loff_t *position)
{
	ssize_t got;

	for (;;) {
		if (mutex_lock_interruptible(&sw_device_read_mutex))
			return -ERESTARTSYS;
		if (sw_device_holder && sw_device_holder != file)
			got = -EBUSY;
		else
			got = sw_rings_read(to, room, sw_device_holder == file);
		mutex_unlock(&sw_device_read_mutex);
		if (got || sw_device_is_finished())
			return got;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(sw_readers, sw_device_is_readable()))
			return -ERESTARTSYS;
	}
}

/* POLLPRI: the script has ended itself, and its reader is to send SW_IOC_STOP. */
static __poll_t sw_device_poll(struct file *file, poll_table *table)
{
	__poll_t mask = 0;

	poll_wait(file, &sw_readers, table);
	sw_reader_prepare_sleep();
	if (sw_rings_pending())
		mask |= EPOLLIN | EPOLLRDNORM;
	if (sw_state() == SW_EXITING)
		mask |= EPOLLPRI;
	if (sw_device_is_finished())
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	return mask;
}

/* The device of another module of the agent. The file holds that module. */
static bool sw_device_is_other(const struct file *file)
{
	const struct module *owner = file->f_op->owner;

	return imajor(file_inode(file)) == MISC_MAJOR && file->f_op->unlocked_ioctl && owner &&
	       owner != THIS_MODULE && !strncmp(owner->name, "sw_", 3);
}

static long sw_device_start(const struct sw_start __user *from)
{
	struct file *instead_of = NULL;
	struct sw_start options;
	long result;

	if (copy_from_user(&options, from, sizeof(options)))
		return -EFAULT;
	if (options.instead_of) {
		instead_of = fget(options.instead_of - 1);
		if (!instead_of)
			return -EBADF;
		if (!sw_device_is_other(instead_of)) {
			fput(instead_of);
			return -EINVAL;
		}
	}
	result = sw_control_start(&options, instead_of);
	if (instead_of)
		fput(instead_of);
	return result;
}

static long sw_device_arm(const struct sw_budgets __user *from)
{
	struct sw_budgets budgets;

	if (copy_from_user(&budgets, from, sizeof(budgets)))
		return -EFAULT;
	return sw_control_arm(&budgets);
}

static long sw_device_costs(u32 __user *user)
{
	u32 hook_ns[SW_NR_COSTS];
	int error;

	if (copy_from_user(hook_ns, user, sizeof(hook_ns)))
		return -EFAULT;
	error = sw_hook_costs_measure(hook_ns);
	if (!error && copy_to_user(user, hook_ns, sizeof(hook_ns)))
		error = -EFAULT;
	return error;
}

/* SW_IOC_CARRY. Rows in the shared region are written, which is safe before the first handler runs. */
static long sw_device_carry(const struct sw_carry __user *user)
{
	struct sw_carry request;
	struct sw_context *c;
	bool carried;
	u64 *data;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (!sw_table_is_valid(&request.table))
		return -EINVAL;
	if (request.table.shared && sw_state() != SW_LOADED)
		return -EBUSY;
	data = memdup_user(user->data, (size_t)request.table.key_size + request.table.row_size);
	if (IS_ERR(data))
		return PTR_ERR(data);
	c = sw_context_take(SW_NO_PROBE);
	carried = sw_carry_element(c, &request.table, data);
	sw_context_give(c);
	kfree(data);
	return carried ? 0 : -ENOSPC;
}

static DEFINE_MUTEX(sw_device_expire_mutex);

/* SW_IOC_EXPIRE. It waits for handlers, so not with the control mutex. */
static long sw_device_expire(struct sw_expire __user *user)
{
	struct sw_expire head, *request;
	u64 *row;
	u32 removed;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (!sw_table_is_valid(&head.table) || !head.table.capacity || head.count > SW_EXPIRE_MOST)
		return -EINVAL;
	request = vmemdup_user(user, sizeof(head) + head.count * (8ULL + head.table.row_size));
	if (IS_ERR(request))
		return PTR_ERR(request);
	request->table = head.table; /* as they were checked */
	request->count = head.count;
	row = kvmalloc(head.table.row_size, SW_GFP);
	if (!row || mutex_lock_killable(&sw_device_expire_mutex)) {
		kvfree(row);
		kvfree(request);
		return row ? -EINTR : -ENOMEM;
	}
	sw_expire_begin(request, row);
	removed = sw_expire_end(request, row, head.table.shared || sw_handlers_quiesce());
	mutex_unlock(&sw_device_expire_mutex);
	kvfree(row);
	kvfree(request);
	return put_user(removed, &user->removed);
}

/* SW_IOC_CONSUMED: from the first one on, the file is the only reader. */
static long sw_device_consumed(struct file *file, const u64 __user *from)
{
	long result = 0;
	u64 time;

	if (get_user(time, from))
		return -EFAULT;
	if (mutex_lock_killable(&sw_device_read_mutex))
		return -EINTR;
	if (sw_device_holder && sw_device_holder != file) {
		result = -EBUSY;
	} else {
		sw_device_holder = file;
		sw_rings_consumed(time);
	}
	mutex_unlock(&sw_device_read_mutex);
	return result;
}

/* Nobody else has the file by now. Readers that sleep find what it has not given back. */
static int sw_device_release(struct inode *inode, struct file *file)
{
	mutex_lock(&sw_device_read_mutex);
	if (sw_device_holder == file) {
		sw_device_holder = NULL;
		sw_rings_unread();
	}
	mutex_unlock(&sw_device_read_mutex);
	sw_reader_wake();
	return 0;
}

static long sw_device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	long result = 0;

	if (command == SW_IOC_SUMS) /* only reads: must not wait for a start or stop */
		return sw_mapping_sums((void __user *)argument);
	if (command == SW_IOC_DOUBLES)
		return sw_mapping_doubles((void __user *)argument);
	if (command == SW_IOC_CONSUMED)
		return sw_device_consumed(file, (const void __user *)argument);
	if (command == SW_IOC_EXPIRE)
		return sw_device_expire((void __user *)argument);
	if (command == SW_IOC_EXIT) { /* nor this: see control_run_instead() */
		sw_control_exit();
		return 0;
	}
	if (command == SW_IOC_SYNC) { /* nor must this: a reader that serves others sends it */
		if (!mutex_trylock(&sw_control_mutex))
			return -EBUSY;
	} else if (mutex_lock_killable(&sw_control_mutex)) {
		return -EINTR;
	}
	switch (command) {
	case SW_IOC_START:
		result = sw_device_start((const void __user *)argument);
		break;
	case SW_IOC_STOP:
		sw_control_stop();
		break;
	case SW_IOC_SYNC:
		sw_control_sync();
		break;
	case SW_IOC_KEY:
		sw_input((u8)argument);
		break;
	case SW_IOC_ARM:
		result = sw_device_arm((const void __user *)argument);
		break;
	case SW_IOC_DISARM:
		result = sw_control_disarm();
		break;
	case SW_IOC_CARRY:
		result = sw_device_carry((const void __user *)argument);
		break;
	case SW_IOC_COSTS:
		result = sw_device_costs((void __user *)argument);
		break;
	default:
		result = -ENOTTY;
	}
	mutex_unlock(&sw_control_mutex);
	return result;
}

static vm_fault_t sw_device_fault(struct vm_fault *vmf)
{
	struct page *page = sw_mapping_page((u64)vmf->pgoff << PAGE_SHIFT);

	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct sw_device_vm = {
	.fault = sw_device_fault,
};

static int sw_device_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	sw_vm_flags_change(vma, VM_DONTEXPAND | VM_DONTDUMP, VM_MAYWRITE | VM_MAYEXEC);
	vma->vm_ops = &sw_device_vm;
	return 0;
}

static const struct file_operations sw_device_operations = {
	.owner = THIS_MODULE, /* an open device, or a mapping of it, holds the module */
	.open = nonseekable_open,
	.release = sw_device_release,
	.read = sw_device_read,
	.poll = sw_device_poll,
	.mmap = sw_device_mmap,
	.unlocked_ioctl = sw_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice sw_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &sw_device_operations,
	.mode = 0600,
};

int sw_device_create(void)
{
	int error;

	sw_device_name = kasprintf(SW_GFP, "stapwatch/%s", sw_script.name);
	if (!sw_device_name)
		return -ENOMEM;
	sw_device.name = sw_device_name;
	sw_device.nodename = sw_device_name;
	error = misc_register(&sw_device);
	if (error)
		kfree(sw_device_name);
	return error;
}

void sw_device_destroy(void)
{
	misc_deregister(&sw_device);
	kfree(sw_device_name);
}
