/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stack.h - who called, and the names of addresses; any context. */
#ifndef STAPWATCH_STACK_H
#define STAPWATCH_STACK_H

#define SW_MOST_FRAMES 32

/*
 * The probed place, where the probe has registers, then the addresses that the kernel's functions
 * return to, innermost first; how many.
 */
u32 sw_stack(const struct sw_context *c, u64 *to, u32 most);
/* The same of the current process, as far as its functions keep frame pointers. */
u32 sw_user_stack(const struct sw_context *c, u64 *to, u32 most);
/*
 * "vfs_read", or with `whole` "vfs_read+0x0/0x180 [kernel]". False and "0x12" where the kernel has
 * no symbol.
 */
bool sw_symbol(struct sw_context *c, char *to, u32 size, u64 address, bool whole);

/*
 * The name of the file that the current process has mapped at an address, and the place in that
 * file. False where there is none, or it cannot be told here: with interrupts off, or while the
 * process changes its map.
 */
bool sw_user_module(struct sw_context *c, char *to, u32 size, u64 address, u64 *offset);

/* The current task's kernel stack: its lowest address, its bytes, and where it is now. */
u64 sw_stack_low(void);
u64 sw_stack_size(void);
u64 sw_stack_pointer(void);

#endif
