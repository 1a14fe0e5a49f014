/* SPDX-License-Identifier: GPL-2.0-or-later */
/* syscall.h - arguments and results of system calls as strace writes them. */
#ifndef STAPWATCH_SYSCALL_H
#define STAPWATCH_SYSCALL_H

/* O_RDONLY|O_CLOEXEC and so on; bits without a name in hexadecimal. */
void sw_open_flags(struct sw_context *c, char *to, u32 size, s64 flags);
/* "ENOENT" for 2; NULL for what is no error. */
const char *sw_error_name(s64 error);
/* "3", or for an error "-2 (ENOENT)". */
void sw_return_text(struct sw_context *c, char *to, u32 size, s64 value);

#endif
