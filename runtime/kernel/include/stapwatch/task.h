/* SPDX-License-Identifier: GPL-2.0-or-later */
/* task.h - who runs on this CPU, in the initial name spaces; any context. */
#ifndef STAPWATCH_TASK_H
#define STAPWATCH_TASK_H

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

#else

/* Zeroes what follows the first NUL of eight bytes in memory order. */
static __always_inline u64 sw_cut_behind_nul(u64 word, bool *ended)
{
	u64 nul = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;

	*ended = nul;
	return nul ? word & (((nul & -nul) >> 7) - 1) : word;
}

/*
 * Writes all SW_COMM_SIZE bytes, NULs behind the name: a key can be compared by words. Another CPU
 * may rename the task meanwhile, so the copy is cut and ended by what was copied.
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

/* The thread group, as user space's getpid(). */
static __always_inline s64 sw_pid(void)
{
	return *(const s32 *)(sw_current() + SW_TASK_TGID);
}

static __always_inline s64 sw_tid(void)
{
	return *(const s32 *)(sw_current() + SW_TASK_PID);
}

/* Only a task changes its own credentials, so they stay while we look. */
static __always_inline u32 sw_credential(u32 offset)
{
	const u8 *cred = *(const u8 *const *)(sw_current() + SW_TASK_CRED);

	return *(const u32 *)(cred + offset);
}

static __always_inline s64 sw_uid(void)
{
	return sw_credential(SW_CRED_UID);
}

static __always_inline s64 sw_euid(void)
{
	return sw_credential(SW_CRED_EUID);
}

static __always_inline s64 sw_gid(void)
{
	return sw_credential(SW_CRED_GID);
}

static __always_inline s64 sw_egid(void)
{
	return sw_credential(SW_CRED_EGID);
}

/* Its address. */
static __always_inline u64 sw_task(void)
{
	return (u64)sw_current();
}

#endif

s64 sw_ppid(void);
s64 sw_pgrp(void);
s64 sw_sid(void);
u64 sw_task_of(s64 tid);    /* the address of that thread's task; 0: there is none */
u64 sw_user_address(void);  /* where the process will go on; 0: a thread of the kernel's */
u64 sw_average_load(u32 n); /* of 1 (0), 5 (1), 15 (2) minutes, times 2048 */
s64 sw_target(void);	    /* the process of `-x` or `-c`; 0: none */

/* Local time, of whoever started the module. */
s64 sw_seconds_west(void);
const char *sw_time_zone(void);

/* A line of the kernel's log; `level`: 0 (emergency) to 7 (debugging). */
void sw_kernel_log(u32 level, const char *text);

/* Nothing handles an event after this one: the module goes to SW_EXITING and its reader is told. */
void sw_exit(struct sw_context *c);

/* What an input probe is about. */
s64 sw_input_char(void);
const char *sw_input_line(void);

/* $value of a procfs probe. */
const char *sw_procfs_value(void);
void sw_procfs_set(struct sw_context *c, const char *text);
void sw_procfs_append(struct sw_context *c, const char *text);

#endif
