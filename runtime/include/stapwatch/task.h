/* SPDX-License-Identifier: GPL-2.0-or-later */
/* task.h - who runs on this CPU. */
#ifndef STAPWATCH_TASK_H
#define STAPWATCH_TASK_H

#define SW_COMM_SIZE 16

/* Writes all SW_COMM_SIZE bytes, NULs behind the name: a key can be compared by words. */
void sw_execname(char *to);
s64 sw_pid(void); /* thread group, as user space's getpid(), in the initial name space */
s64 sw_tid(void);
s64 sw_ppid(void);
s64 sw_pgrp(void);
s64 sw_sid(void);
s64 sw_uid(void);
s64 sw_euid(void);
s64 sw_gid(void);
s64 sw_egid(void);
s64 sw_cpu(void);
u64 sw_task(void);   /* address of the current task */
s64 sw_target(void); /* the process of `-x` or `-c`; 0: none */

/* Nothing handles an event after this one: the module goes to SW_EXITING and its reader is told. */
void sw_exit(struct sw_context *c);

#endif
