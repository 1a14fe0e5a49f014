// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/stapwatch/NAME: tables by mmap, events by read and poll, the rest by ioctl.
 *
 * Two mutexes, neither taken inside the other:
 *
 * - the control mutex serialises start, stop, sync and input; it may be held for as
 *   long as attaching and detaching all hooks takes;
 * - the read mutex makes the reader the only consumer of the rings. It is not held
 *   while the reader sleeps.
 *
 * SW_IOC_SUMS and page faults take neither: the memory is there as long as the module
 * is, and an open file or a mapping holds the module.
 */
#include <linux/miscdevice.h>
#include "core/runtime.h"

static DEFINE_MUTEX(sw_device_control_mutex);
static DEFINE_MUTEX(sw_device_read_mutex);
static char *sw_device_name;

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
		got = sw_rings_read(to, room);
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

static long sw_device_start(const struct sw_start __user *from)
{
	struct sw_start options;

	if (copy_from_user(&options, from, sizeof(options)))
		return -EFAULT;
	if (memchr_inv(options.reserved, 0, sizeof(options.reserved)))
		return -EINVAL;
	return sw_control_start(&options);
}

static long sw_device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	long result = 0;

	if (command == SW_IOC_SUMS) /* only reads: must not wait for a start or stop */
		return sw_mapping_sums((void __user *)argument);
	if (mutex_lock_killable(&sw_device_control_mutex))
		return -EINTR;
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
	default:
		result = -ENOTTY;
	}
	mutex_unlock(&sw_device_control_mutex);
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
