// SPDX-License-Identifier: GPL-2.0-or-later
/* device.c - /dev/stapwatch/NAME: tables by mmap, events by read and poll, the rest by ioctl. */
#include <linux/miscdevice.h>
#include "core/runtime.h"

static DEFINE_MUTEX(control);
static DEFINE_MUTEX(reading);
static char *device_name;

static bool drained_and_stopped(void)
{
	return sw_state() == SW_STOPPED && !sw_rings_pending();
}

static bool worth_waking(void)
{
	sw_reader_sleeps();
	return sw_rings_pending() || sw_state() == SW_STOPPED;
}

static ssize_t device_read(struct file *file, char __user *to, size_t room, loff_t *position)
{
	ssize_t got;

	for (;;) {
		if (mutex_lock_interruptible(&reading))
			return -ERESTARTSYS;
		got = sw_rings_read(to, room);
		mutex_unlock(&reading);
		if (got || drained_and_stopped())
			return got;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(sw_readers, worth_waking()))
			return -ERESTARTSYS;
	}
}

/* POLLPRI asks for attention: the module wants to be stopped. */
static __poll_t device_poll(struct file *file, poll_table *table)
{
	__poll_t mask = 0;

	poll_wait(file, &sw_readers, table);
	sw_reader_sleeps();
	if (sw_rings_pending())
		mask |= EPOLLIN | EPOLLRDNORM;
	if (sw_state() == SW_EXITING)
		mask |= EPOLLPRI;
	if (drained_and_stopped())
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	return mask;
}

static long start(const struct sw_start __user *from)
{
	struct sw_start options;

	if (copy_from_user(&options, from, sizeof(options)))
		return -EFAULT;
	if (memchr_inv(options.reserved, 0, sizeof(options.reserved)))
		return -EINVAL;
	return sw_control_start(&options);
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	long result = 0;

	if (command == SW_IOC_SUMS) /* changes nothing, and is not to wait for a start or stop */
		return sw_region_sums((void __user *)argument);
	if (mutex_lock_killable(&control))
		return -EINTR;
	switch (command) {
	case SW_IOC_START:
		result = start((const void __user *)argument);
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
	mutex_unlock(&control);
	return result;
}

static vm_fault_t device_fault(struct vm_fault *vmf)
{
	struct page *page = sw_region_page((u64)vmf->pgoff << PAGE_SHIFT);

	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct device_vm = {
	.fault = device_fault,
};

static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	sw_vm_flags_change(vma, VM_DONTEXPAND | VM_DONTDUMP, VM_MAYWRITE | VM_MAYEXEC);
	vma->vm_ops = &device_vm;
	return 0;
}

static const struct file_operations device_operations = {
	.owner = THIS_MODULE, /* an open device, or a mapping of it, keeps the module loaded */
	.open = nonseekable_open,
	.read = device_read,
	.poll = device_poll,
	.mmap = device_mmap,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &device_operations,
	.mode = 0600,
};

int sw_device_create(void)
{
	int error;

	device_name = kasprintf(GFP_KERNEL, "stapwatch/%s", sw_script.name);
	if (!device_name)
		return -ENOMEM;
	device.name = device_name;
	device.nodename = device_name;
	error = misc_register(&device);
	if (error)
		kfree(device_name);
	return error;
}

void sw_device_destroy(void)
{
	misc_deregister(&device);
	kfree(device_name);
}
