/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memory.h - fault-safe reads: a bad address is the script's error, never the kernel's. */
#ifndef STAPWATCH_MEMORY_H
#define STAPWATCH_MEMORY_H

/*
 * An integer of `size` (1, 2, 4, 8) bytes at a kernel or user address, zero-extended; 0 and an
 * error in the context ("kernel read fault at 0x...") where it cannot be read.
 */
u64 sw_kernel_read(struct sw_context *c, u64 address, u32 size);
u64 sw_user_read(struct sw_context *c, u64 address, u32 size);

/* Writes the low `size` (1, 2, 4, 8) bytes of a value; an error where it cannot be written. */
void sw_kernel_write(struct sw_context *c, u64 address, s64 value, u32 size);

/* This CPU's instance of the per-CPU variable `distance` bytes behind that of this_cpu_off. */
u64 sw_percpu_address(s64 distance);

/*
 * The NUL-terminated string at an address into `to`, at most `size` bytes with its NUL; false and
 * an error in the context ("kernel string copy fault at 0x...") where it cannot be read; `to` is
 * then "".
 */
bool sw_kernel_string(struct sw_context *c, char *to, u32 size, u64 address);
bool sw_user_string(struct sw_context *c, char *to, u32 size, u64 address);

/* The same, with at most `length` bytes read. */
bool sw_kernel_string_n(struct sw_context *c, char *to, u32 size, u64 address, s64 length);
bool sw_user_string_n(struct sw_context *c, char *to, u32 size, u64 address, s64 length);

#define SW_MOST_MEMORY 1024 /* bytes that one %m or %M shows */

/* Bytes that a %m or %M of such a precision shows. */
static __always_inline s64 sw_memory_length(s64 precision)
{
	s32 n = (s32)precision;

	return n < 1 ? 1 : n > SW_MOST_MEMORY ? SW_MOST_MEMORY : n;
}

/*
 * That many bytes at an address into `to`, for %m and %M; how many. 0 and an error in the context
 * where they cannot be read.
 */
u32 sw_kernel_bytes(struct sw_context *c, char *to, u64 address, s64 precision);
u32 sw_user_bytes(struct sw_context *c, char *to, u64 address, s64 precision);

/*
 * A user string as strace shows it: in double quotes, C escapes, "..." behind the closing quote
 * where it was cut; the address in hexadecimal where it cannot be read (no error).
 */
void sw_user_string_quoted(struct sw_context *c, char *to, u32 size, u64 address);
/* The same of `length` bytes that may hold NULs (read and write buffers). */
void sw_user_buffer_quoted(struct sw_context *c, char *to, u32 size, u64 address, s64 length);

#endif
