/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments and results of system calls as strace writes them. */
#ifndef STAPWATCH_SYSCALL_H
#define STAPWATCH_SYSCALL_H

/**
 * sw_open_flags() - flags of open() as text
 * @c: the handler's context
 * @to: gets "O_RDONLY|O_CLOEXEC"; bits without a name follow in hexadecimal
 * @size: bytes of @to
 * @flags: the flags
 *
 * Context: Handler.
 */
void sw_open_flags(struct sw_context *c, char *to, u32 size, s64 flags);

/**
 * sw_error_name() - name of an errno
 * @error: the number, positive
 *
 * Context: Any.
 * Return: "ENOENT" for 2; NULL if no error has this number.
 */
const char *sw_error_name(s64 error);

/**
 * sw_return_text() - result of a system call as text
 * @c: the handler's context
 * @to: gets "3", or for an error "-2 (ENOENT)"
 * @size: bytes of @to
 * @value: the result
 *
 * Context: Handler.
 */
void sw_return_text(struct sw_context *c, char *to, u32 size, s64 value);

#endif
