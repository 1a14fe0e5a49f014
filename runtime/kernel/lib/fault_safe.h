/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fault-safe reads and writes that read_string.c and sprintf.c are built on. They
 * return 0 or a negative errno; on an error the contents of `to` are undefined. Any
 * context, NMI included.
 */
#ifndef STAPWATCH_FAULT_SAFE_H
#define STAPWATCH_FAULT_SAFE_H

int sw_fetch_kernel(void *to, u64 address, u32 size);
int sw_fetch_user(void *to, u64 address, u32 size);
/* Writes the low `size` (1, 2, 4, 8) bytes of a value, little-endian. */
int sw_store_kernel(u64 address, u64 value, u32 size);
int sw_store_user(u64 address, u64 value, u32 size);

/* Notes the error "TEXTADDRESS", the address in hexadecimal, unless there is one already. */
void sw_fail_at(struct sw_context *c, const char *text, u64 address);

#endif
