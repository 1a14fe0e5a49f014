/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fault-safe access to memory: a bad address is the script's error, never the
 * kernel's. No page is faulted in: memory that is not present cannot be read.
 */
#ifndef STAPWATCH_READ_H
#define STAPWATCH_READ_H

/**
 * sw_kernel_read() - reads an integer of the kernel
 * @c: the handler's context; gets the error "kernel read fault at 0x..."
 * @address: the address
 * @size: 1, 2, 4 or 8 bytes
 *
 * Context: Handler.
 * Return: the integer, zero-extended; 0 if it cannot be read.
 */
u64 sw_kernel_read(struct sw_context *c, u64 address, u32 size);

/**
 * sw_user_read() - reads an integer of the current process
 * @c: the handler's context; gets the error "user read fault at 0x..."
 * @address: the address
 * @size: 1, 2, 4 or 8 bytes
 *
 * Context: Handler.
 * Return: the integer, zero-extended; 0 if it cannot be read.
 */
u64 sw_user_read(struct sw_context *c, u64 address, u32 size);

/**
 * sw_kernel_write() - writes an integer of the kernel
 * @c: the handler's context; gets the error "kernel write fault at 0x..."
 * @address: the address
 * @value: the integer
 * @size: how many of its low bytes are written: 1, 2, 4 or 8
 *
 * Context: Handler, of a script in guru mode.
 */
void sw_kernel_write(struct sw_context *c, u64 address, s64 value, u32 size);

/**
 * sw_user_write() - writes an integer of the current process
 * @c: the handler's context; gets the error "user write fault at 0x..."
 * @address: the address; its page must be in memory, and writable at once
 * @value: the integer
 * @size: how many of its low bytes are written: 1, 2, 4 or 8
 *
 * Context: Handler, of a script in guru mode.
 */
void sw_user_write(struct sw_context *c, u64 address, s64 value, u32 size);

/**
 * sw_percpu_address() - address of this CPU's instance of a per-CPU variable
 * @distance: bytes from the variable this_cpu_off to the variable
 *
 * Context: Handler.
 * Return: the address.
 */
u64 sw_percpu_address(s64 distance);

/**
 * sw_kernel_string() - copies a string of the kernel
 * @c: the handler's context; gets the error "kernel string copy fault at 0x..."
 * @to: gets the string, "" if it cannot be read
 * @size: bytes of @to; a string that does not fit is cut and counted
 * @address: the address
 *
 * Context: Handler.
 * Return: true if the string could be read.
 */
bool sw_kernel_string(struct sw_context *c, char *to, u32 size, u64 address);

/**
 * sw_user_string() - copies a string of the current process
 * @c: the handler's context; gets the error "user string copy fault at 0x..."
 * @to: gets the string, "" if it cannot be read
 * @size: bytes of @to; a string that does not fit is cut and counted
 * @address: the address
 *
 * Context: Handler.
 * Return: true if the string could be read.
 */
bool sw_user_string(struct sw_context *c, char *to, u32 size, u64 address);

/**
 * sw_kernel_string_n() - copies at most @length bytes of a string of the kernel
 * @c: the handler's context; gets the error "kernel string copy fault at 0x..."
 * @to: gets the string, "" if it cannot be read
 * @size: bytes of @to
 * @address: the address
 * @length: bytes that are read at most; a negative length counts as 0
 *
 * Context: Handler.
 * Return: true if the string could be read.
 */
bool sw_kernel_string_n(struct sw_context *c, char *to, u32 size, u64 address, s64 length);

/**
 * sw_user_string_n() - copies at most @length bytes of a string of the process
 * @c: the handler's context; gets the error "user string copy fault at 0x..."
 * @to: gets the string, "" if it cannot be read
 * @size: bytes of @to
 * @address: the address
 * @length: bytes that are read at most; a negative length counts as 0
 *
 * Context: Handler.
 * Return: true if the string could be read.
 */
bool sw_user_string_n(struct sw_context *c, char *to, u32 size, u64 address, s64 length);

/* Bytes that one %m or %M shows at most. */
#define SW_MOST_MEMORY 1024

/**
 * sw_memory_length() - bytes that a %m or %M shows
 * @precision: the directive's precision
 *
 * Context: Any.
 * Return: 1 to SW_MOST_MEMORY.
 */
static __always_inline s64 sw_memory_length(s64 precision)
{
	s32 n = (s32)precision;

	return n < 1 ? 1 : n > SW_MOST_MEMORY ? SW_MOST_MEMORY : n;
}

/**
 * sw_kernel_bytes() - copies memory of the kernel for a %m or %M
 * @c: the handler's context; gets the error "kernel read fault at 0x..."
 * @to: gets the bytes; has space for SW_MOST_MEMORY of them
 * @address: the address
 * @precision: the directive's precision
 *
 * Context: Handler.
 * Return: number of bytes; 0 if they cannot be read.
 */
u32 sw_kernel_bytes(struct sw_context *c, char *to, u64 address, s64 precision);

/**
 * sw_user_bytes() - copies memory of the current process for a %m or %M
 * @c: the handler's context; gets the error "user read fault at 0x..."
 * @to: gets the bytes; has space for SW_MOST_MEMORY of them
 * @address: the address
 * @precision: the directive's precision
 *
 * Context: Handler.
 * Return: number of bytes; 0 if they cannot be read.
 */
u32 sw_user_bytes(struct sw_context *c, char *to, u64 address, s64 precision);

/**
 * sw_user_string_quoted() - a string of the current process as strace shows it
 * @c: the handler's context
 * @to: gets the string in double quotes with C escapes, and "..." after the
 *      closing quote if it was cut; the address in hexadecimal if it cannot be
 *      read, which is no error
 * @size: bytes of @to
 * @address: the address
 *
 * Context: Handler.
 */
void sw_user_string_quoted(struct sw_context *c, char *to, u32 size, u64 address);

/**
 * sw_user_buffer_quoted() - a buffer of the current process as strace shows it
 * @c: the handler's context
 * @to: as for sw_user_string_quoted()
 * @size: bytes of @to
 * @address: the address
 * @length: bytes of the buffer, which may be NULs; a negative length counts as 0
 *
 * Context: Handler.
 */
void sw_user_buffer_quoted(struct sw_context *c, char *to, u32 size, u64 address, s64 length);

#endif
