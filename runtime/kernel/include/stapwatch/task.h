/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The current task, and properties of the session. Process ids are those of
 * the initial namespace.
 *
 * The functions in line read members of the current task at offsets from BTF:
 * a call and its spills would cost as much as the count that most handlers make.
 */
#ifndef STAPWATCH_TASK_H
#define STAPWATCH_TASK_H

/* The kernel's TASK_COMM_LEN. */
#define SW_COMM_SIZE 16

#ifdef SW_USERSPACE

void sw_execname(char *to);
s64 sw_pid(void);
s64 sw_tid(void);
s64 sw_uid(void);
s64 sw_euid(void);
s64 sw_gid(void);
s64 sw_egid(void);
s64 sw_cpu(void);
u64 sw_task(void);
bool sw_is_compat_call(void);

#else

/* Zeroes the bytes after the first NUL, in memory order, of eight bytes. */
static __always_inline u64 sw_cut_behind_nul(u64 word, bool *ended)
{
	u64 nul = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;

	*ended = nul;
	return nul ? word & (((nul & -nul) >> 7) - 1) : word;
}

/**
 * sw_execname() - name of the current task
 * @to: gets SW_COMM_SIZE bytes: the name, then NULs, so that a key can be compared
 *      by words
 *
 * Another CPU may rename the task meanwhile. Each half of the name is loaded
 * once, and the copy ends at the first NUL in what was loaded: a name may be half
 * old and half new, but it is always terminated.
 *
 * Context: Any, NMI included.
 */
static __always_inline void sw_execname(char *to)
{
	const u64 *comm = (const u64 *)(sw_current() + SW_TASK_COMM);
	u64 first = comm[0], second = comm[1];
	bool ended;

	__asm__("" : "+r"(first), "+r"(second)); /* read once */
	first = sw_cut_behind_nul(first, &ended);
	if (ended)
		second = 0;
	else
		second = sw_cut_behind_nul(second & ~0ULL >> 8, &ended);
	__builtin_memcpy(to, &first, 8);
	__builtin_memcpy(to + 8, &second, 8);
}

/**
 * sw_pid() - process id of the current task, as getpid() gives it
 *
 * Context: Any, NMI included.
 * Return: the id of the thread group; 0 for an idle task.
 */
static __always_inline s64 sw_pid(void)
{
	return *(const s32 *)(sw_current() + SW_TASK_TGID);
}

/**
 * sw_tid() - thread id of the current task, as gettid() gives it
 *
 * Context: Any, NMI included.
 * Return: the id; 0 for an idle task.
 */
static __always_inline s64 sw_tid(void)
{
	return *(const s32 *)(sw_current() + SW_TASK_PID);
}

/**
 * sw_is_compat_call() - whether the current task is in a system call that a 32-bit program made
 *
 * A 64-bit program can make such a call, too: it is the call's numbers and arguments that are those
 * of 32-bit programs.
 *
 * Context: Any, NMI included.
 * Return: false also outside of system calls.
 */
static __always_inline bool sw_is_compat_call(void)
{
	return *(const u32 *)(sw_current() + SW_TASK_STATUS) & SW_STATUS_COMPAT;
}

/* Only a task changes its own credentials, so they stay while the handler reads them. */
static __always_inline u32 sw_credential(u32 offset)
{
	const u8 *cred = *(const u8 *const *)(sw_current() + SW_TASK_CRED);

	return *(const u32 *)(cred + offset);
}

/**
 * sw_uid() - real user id of the current task
 *
 * Context: Any, NMI included.
 * Return: the id, in the initial namespace.
 */
static __always_inline s64 sw_uid(void)
{
	return sw_credential(SW_CRED_UID);
}

/**
 * sw_euid() - effective user id of the current task
 *
 * Context: Any, NMI included.
 * Return: the id, in the initial namespace.
 */
static __always_inline s64 sw_euid(void)
{
	return sw_credential(SW_CRED_EUID);
}

/**
 * sw_gid() - real group id of the current task
 *
 * Context: Any, NMI included.
 * Return: the id, in the initial namespace.
 */
static __always_inline s64 sw_gid(void)
{
	return sw_credential(SW_CRED_GID);
}

/**
 * sw_egid() - effective group id of the current task
 *
 * Context: Any, NMI included.
 * Return: the id, in the initial namespace.
 */
static __always_inline s64 sw_egid(void)
{
	return sw_credential(SW_CRED_EGID);
}

/**
 * sw_task() - the current task
 *
 * Context: Any, NMI included.
 * Return: address of its struct task_struct.
 */
static __always_inline u64 sw_task(void)
{
	return (u64)sw_current();
}

#endif

/**
 * sw_ppid() - process id of the parent
 *
 * Context: Any, NMI included.
 * Return: the id of the parent's thread group.
 */
s64 sw_ppid(void);

/**
 * sw_pgrp() - process group of the current task
 *
 * Context: Any, NMI included.
 * Return: the id.
 */
s64 sw_pgrp(void);

/**
 * sw_sid() - session of the current task
 *
 * Context: Any, NMI included.
 * Return: the id.
 */
s64 sw_sid(void);

/* What sw_ns_pid() returns. */
enum sw_ns_pid {
	SW_NS_PID,
	SW_NS_TID,
	SW_NS_PPID,
	SW_NS_PGRP,
	SW_NS_SID,
};

/**
 * sw_ns_pid() - an ID as the current task itself sees it, in its PID namespace
 * @which: one of enum sw_ns_pid
 *
 * Context: any.
 * Return: the ID, or 0 if the task, its parent, group or session has none there.
 */
s64 sw_ns_pid(u32 which);

/**
 * sw_ns_user() - a user ID as the current task's user namespace shows it
 * @uid: the ID in the initial namespace
 *
 * Context: any.
 * Return: the ID, or the kernel's overflow ID (65534) if the namespace does not map it.
 */
s64 sw_ns_user(s64 uid);

/**
 * sw_ns_group() - a group ID as the current task's user namespace shows it
 * @gid: the ID in the initial namespace
 *
 * Context: any.
 * Return: as for sw_ns_user().
 */
s64 sw_ns_group(s64 gid);

/**
 * sw_task_of() - a task by its thread id
 * @tid: the id
 *
 * The task may exit and its memory be reused: the script reads it fault-safely.
 *
 * Context: Any, NMI included.
 * Return: address of its struct task_struct; 0 if there is none.
 */
u64 sw_task_of(s64 tid);

/**
 * sw_user_address() - where the current process will continue in user space
 *
 * Context: Any, NMI included.
 * Return: the address; 0 for a kernel thread.
 */
u64 sw_user_address(void);

/**
 * sw_average_load() - load average
 * @n: 0, 1, 2 for the average of 1, 5, 15 minutes
 *
 * Context: Any, NMI included.
 * Return: the load, times 2048; 0 for another @n.
 */
u64 sw_average_load(u32 n);

/**
 * sw_target() - the process of the options -x and -c
 *
 * Context: Any, NMI included.
 * Return: its process id; 0 if there is none.
 */
s64 sw_target(void);

/**
 * sw_seconds_west() - local time zone of the process that started the module
 *
 * Context: Any, NMI included.
 * Return: seconds that local time is behind UTC.
 */
s64 sw_seconds_west(void);

/**
 * sw_time_zone() - name of that time zone
 *
 * Context: Any, NMI included.
 * Return: at most 15 bytes, for example "CET".
 */
const char *sw_time_zone(void);

/**
 * sw_kernel_log() - writes a line to the kernel's log
 * @level: 0 (emergency) to 7 (debug)
 * @text: the line, without a newline
 *
 * Context: Any, NMI included.
 */
void sw_kernel_log(u32 level, const char *text);

/**
 * sw_exit() - ends the script: exit()
 * @c: the handler's context
 *
 * The module goes to SW_EXITING and its reader is woken to stop it. No handler
 * starts on any CPU afterwards; those that run finish.
 *
 * Context: Handler.
 */
void sw_exit(struct sw_context *c);

/**
 * sw_input_char() - the byte that was typed
 *
 * Context: Handler of an input probe.
 * Return: the byte.
 */
s64 sw_input_char(void);

/**
 * sw_input_line() - the line that was typed
 *
 * Context: Handler of an input probe for lines.
 * Return: the line with its newline.
 */
const char *sw_input_line(void);

/**
 * sw_procfs_value() - $value of a procfs probe
 *
 * Context: Handler of a procfs probe.
 * Return: the text that was written to the file, or that is to be read from it.
 */
const char *sw_procfs_value(void);

/**
 * sw_procfs_set() - $value = text, in a procfs probe
 * @c: the handler's context
 * @text: the string; what does not fit is cut and counted
 *
 * Context: Handler of a procfs probe.
 */
void sw_procfs_set(struct sw_context *c, const char *text);

/**
 * sw_procfs_append() - $value .= text, in a procfs probe
 * @c: the handler's context
 * @text: the string; what does not fit is cut and counted
 *
 * Context: Handler of a procfs probe.
 */
void sw_procfs_append(struct sw_context *c, const char *text);

/**
 * sw_procfs_refuse() - the probe's condition is false: who reads or writes the file is to be told
 *
 * Context: Handler of a procfs probe.
 */
void sw_procfs_refuse(void);

#endif
