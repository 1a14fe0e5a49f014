/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fetch.h - the reads and the write that memory.c and format.c are built on: 0, or an errno and
 * nothing usable in `to`. */
#ifndef STAPWATCH_FETCH_H
#define STAPWATCH_FETCH_H

int sw_fetch_kernel(void *to, u64 address, u32 size);
int sw_fetch_user(void *to, u64 address, u32 size);
/* Writes the low `size` bytes of a value. */
int sw_store_kernel(u64 address, u64 value, u32 size);

/* Ends the handler with "TEXT0xADDRESS", unless it has failed already. */
void sw_fail_at(struct sw_context *c, const char *text, u64 address);

#endif
