/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Call chains, and the names of addresses. All of them pay for themselves: see charge.h. */
#ifndef STAPWATCH_STACK_H
#define STAPWATCH_STACK_H

#define SW_MOST_FRAMES 32

/**
 * sw_stack() - call chain of the kernel's functions
 * @c: the handler's context
 * @to: gets the addresses, innermost first: the probed instruction if the probe
 *      has registers, then return addresses
 * @most: number of addresses that @to has space for
 *
 * Context: Handler. Uses 512 bytes of stack.
 * Return: number of addresses.
 */
u32 sw_stack(struct sw_context *c, u64 *to, u32 most);

/**
 * sw_user_stack() - call chain of the current process
 * @c: the handler's context
 * @to: gets the addresses, innermost first
 * @most: number of addresses that @to has space for
 *
 * Goes by the unwind tables of the script's files (unwind.h), and elsewhere by frame
 * pointers: there the chain ends at the first function without one. Where a table
 * shows that there is a caller that cannot be found, a 0 is the last address.
 *
 * Context: Handler. Uses about 500 bytes of stack.
 * Return: number of addresses; 0 in a kernel thread.
 */
u32 sw_user_stack(struct sw_context *c, u64 *to, u32 most);

/**
 * sw_symbol() - name of the kernel function at an address
 * @c: the handler's context
 * @to: gets "vfs_read", with @whole "vfs_read+0x0/0x180 [kernel]", or "0x12" if
 *      the kernel has no symbol there
 * @size: bytes of @to
 * @address: the address
 * @whole: with offset, size and module
 *
 * Context: Handler. Uses about 300 bytes of stack.
 * Return: true if there is a symbol.
 */
bool sw_symbol(struct sw_context *c, char *to, u32 size, u64 address, bool whole);

/**
 * sw_user_module() - the file that the current process has mapped at an address
 * @c: the handler's context
 * @to: gets the name of the file
 * @size: bytes of @to
 * @address: the address
 * @offset: gets the offset in that file
 *
 * Context: Handler.
 * Return: false if no file is mapped there, or if it is not possible to know:
 * interrupts are off, or the process's map is being changed.
 */
bool sw_user_module(struct sw_context *c, char *to, u32 size, u64 address, u64 *offset);

/**
 * sw_mapped_address() - where the current process has a place of a program or library
 * @c: the handler's context; gets an error if the process does not have the file, or
 *     if it is not possible to know: interrupts are off, or its map is being changed
 * @file: the last name of the file
 * @size: its size
 * @from_start: distance from the first mapping of a library
 * @from_end: distance from the end of the code of a program
 *
 * The program that a process executes is known in any context.
 *
 * Context: Handler, after sw_prepare().
 * Return: the address; 0 with an error.
 */
s64 sw_mapped_address(struct sw_context *c, const char *file, u64 size, s64 from_start,
		      s64 from_end);

/**
 * sw_stack_low() - lowest address of the current task's kernel stack
 *
 * Context: Any.
 * Return: the address.
 */
u64 sw_stack_low(void);

/**
 * sw_stack_size() - size of a kernel stack
 *
 * Context: Any.
 * Return: bytes.
 */
u64 sw_stack_size(void);

/**
 * sw_stack_pointer() - current value of the stack pointer
 *
 * Context: Any.
 * Return: the stack pointer.
 */
u64 sw_stack_pointer(void);

#endif
