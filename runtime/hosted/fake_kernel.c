// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replaces task.c, clock.c and fault_safe.c: a normal process is the kernel, its
 * threads are the tasks, and its own memory is the kernel's and the user's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "stapwatch.h"
#include "lib/fault_safe.h"

static u64 fake_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (u64)t.tv_sec * 1000000000ULL + (u64)t.tv_nsec;
}

u64 sw_clock_real(void)
{
	return fake_clock(CLOCK_REALTIME);
}

u64 sw_clock_monotonic(void)
{
	return fake_clock(CLOCK_MONOTONIC);
}

u64 sw_clock_boot(void)
{
	return fake_clock(CLOCK_BOOTTIME);
}

u64 sw_cycles(void)
{
	return __builtin_ia32_rdtsc();
}

u64 sw_jiffies(void)
{
	return sw_clock_monotonic() / 4000000;
}

void sw_probed_function(struct sw_context *c, char *to, u32 size)
{
	sw_copy_key(c, to, size, sw_script.probes[c->probe].functions[0].symbol);
}

void sw_execname(char *to)
{
	memset(to, 0, SW_COMM_SIZE);
	prctl(PR_GET_NAME, to);
}

s64 sw_pid(void)
{
	return getpid();
}

s64 sw_tid(void)
{
	return gettid();
}

s64 sw_ppid(void)
{
	return getppid();
}

s64 sw_pgrp(void)
{
	return getpgrp();
}

s64 sw_sid(void)
{
	return getsid(0);
}

/* The process is in one namespace with its kernel. */
s64 sw_ns_pid(u32 which)
{
	s64 (*const ids[])(void) = { sw_pid, sw_tid, sw_ppid, sw_pgrp, sw_sid };

	return ids[which]();
}

s64 sw_ns_user(s64 uid)
{
	return uid;
}

s64 sw_ns_group(s64 gid)
{
	return gid;
}

s64 sw_uid(void)
{
	return getuid();
}

s64 sw_euid(void)
{
	return geteuid();
}

s64 sw_gid(void)
{
	return getgid();
}

s64 sw_egid(void)
{
	return getegid();
}

bool sw_is_compat_call(void)
{
	return false;
}

u64 sw_task(void)
{
	return (u64)(unsigned long)&sw_shared;
}

/* Uses a system call, so that a bad address is an error and not a signal. */
static int fake_fetch(void *to, u64 address, u32 size)
{
	struct iovec local = { to, size };
	struct iovec remote = { (void *)(unsigned long)address, size };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

int sw_fetch_kernel(void *to, u64 address, u32 size)
{
	return fake_fetch(to, address, size);
}

int sw_fetch_user(void *to, u64 address, u32 size)
{
	return fake_fetch(to, address, size);
}

int sw_store_kernel(u64 address, u64 value, u32 size)
{
	struct iovec local = { &value, size };
	struct iovec remote = { (void *)(unsigned long)address, size };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

int sw_store_user(u64 address, u64 value, u32 size)
{
	return sw_store_kernel(address, value, size);
}

/* The program has one CPU, whose per-CPU variables are its own. */
u64 sw_percpu_address(s64 distance)
{
	return (u64)(unsigned long)dlsym(RTLD_DEFAULT, "this_cpu_off") + (u64)distance;
}
