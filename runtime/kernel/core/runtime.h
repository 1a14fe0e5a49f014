/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runtime.h - what the runtime's kernel sources share. One module holds one script, so its state is
 * global.
 *
 *   LOADED --START--> STARTING --> RUNNING --exit(), errors, STOP--> EXITING --STOP--> STOPPED
 * --START--> ...
 *
 * Gates (sw_context.closed) are open while begin probes run, then closed while hooks are placed,
 * open while the module runs, closed while hooks are removed, and open once more for end or error
 * probes.
 */
#ifndef STAPWATCH_RUNTIME_H
#define STAPWATCH_RUNTIME_H

#ifdef SW_USERSPACE

#include "stapwatch.h"
#include "core/ring.h"

#else

#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#define SW_KERNEL_HEADERS
#include "compat.h"
#include "stapwatch.h"
#include "core/ring.h"

#define sw_log(level, format, ...)                                                                 \
	printk(level "stapwatch: %s: " format "\n", sw_script.name, ##__VA_ARGS__)

/* region.c: the memory that readers map. */
extern struct sw_header *sw_header;
extern struct sw_probe_status *sw_status;
int sw_region_create(void);
void sw_region_destroy(void);
/* The page at a file offset of the device; NULL: behind the end. */
struct page *sw_region_page(u64 offset);
struct sw_context *sw_lane_context(u32 lane);
/* Answers SW_IOC_SUMS: 0 or an error. */
long sw_region_sums(struct sw_sums __user *request);
/* Counts kernel memory for the header. */
void sw_memory_add(s64 bytes);

/* build_id.c: 0, or why the running kernel is not the one that the script was made for. */
int sw_build_id_check(bool trust);

/* symbol.c: fills the script's table of addresses. */
int sw_symbols_find(void);
/* The address of one of the kernel's symbols; 0: there is none. */
u64 sw_symbol_find(const char *name);

/* ring.c */
int sw_rings_create(void);
void sw_rings_destroy(void);
/* A record waits to be read. */
bool sw_rings_pending(void);
/* Copies whole records, oldest first: bytes copied, -EINVAL when the next record needs more room.
 */
ssize_t sw_rings_read(char __user *to, size_t room);
/* Says that somebody is about to sleep until events come. Look at the rings after it, not before.
 */
void sw_reader_sleeps(void);
/* Wakes readers, from a process. */
void sw_reader_wake(void);
extern wait_queue_head_t sw_readers;

/* control.c */
u32 sw_state(void);
int sw_control_start(const struct sw_start *options);
void sw_control_stop(void);
void sw_control_sync(void);
/* Input probes run, for a byte that was typed. */
void sw_input(u8 byte);

/* context.c: this CPU's context from a process, as a handler would own it. */
struct sw_context *sw_context_take(u32 probe);
void sw_context_give(struct sw_context *c);
void sw_gates_set(u32 closed);
/* Waits until no handler is under way. */
void sw_gates_drain(void);
void sw_errors_reset(u64 most);

/* device.c */
int sw_device_create(void);
void sw_device_destroy(void);

#endif

#endif
