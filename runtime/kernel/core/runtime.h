/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Declarations that the runtime's kernel sources share. One module holds one
 * script, so its state is global.
 *
 *   LOADED, STOPPED -> STARTING     START
 *   STARTING -> RUNNING             begin probes have run, all hooks are attached
 *   STARTING -> STOPPED             a hook could not be attached
 *   RUNNING -> DISARMED             DISARM, or a budget was exceeded; then hooks are detached
 *   DISARMED -> RUNNING             ARM: hooks are attached again
 *   STARTING, RUNNING -> EXITING    exit(), too many errors, STOP
 *   DISARMED -> EXITING             STOP; or one of the first two, in a handler that still runs
 *   EXITING -> STOPPED              STOP: hooks are detached, end or error probes have run
 *   LOADED -> STOPPED               STOP
 *
 * Handlers (sw_context.disabled) are enabled while begin probes run, disabled while
 * hooks are attached, enabled while the module runs, disabled while hooks are
 * detached or the script is disarmed, and enabled once more for end or error probes.
 *
 * All files are compiled as one unit, together with kernel headers. So every name at
 * file level begins with sw_ or with the first word of its file's name.
 */
#ifndef STAPWATCH_RUNTIME_H
#define STAPWATCH_RUNTIME_H

#ifdef SW_USERSPACE

#define sw_irqs_off(flags) ((flags) = 0)
#define sw_irqs_on(flags)  ((void)(flags))

#include "stapwatch.h"
#include "core/meter.h"
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

#define sw_irqs_off(flags) local_irq_save(flags)
#define sw_irqs_on(flags)  local_irq_restore(flags)

#define SW_KERNEL_HEADERS
#include "compat.h"
#include "stapwatch.h"
#include "core/meter.h"
#include "core/ring.h"

#define sw_log(level, format, ...)                                                                 \
	printk(level "stapwatch: %s: " format "\n", sw_script.name, ##__VA_ARGS__)

/* Unless a comment says otherwise: from a process, which may sleep. */

/*
 * For whatever the module allocates: the allocation fails where memory is short. With
 * GFP_KERNEL alone the kernel kills a process instead. alloc_percpu_gfp() knows only the
 * second one.
 */
#define SW_GFP	      (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define SW_GFP_PERCPU (GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/* ---- memory.c */
/* Returns -ENOMEM, and logs it, if the machine has not that many bytes to spare. */
int sw_memory_check(u64 bytes);
/*
 * Fills an array that holds NULLs with zeroed pages of a node. False if memory is short or
 * a fatal signal is pending: no page is left allocated then.
 */
bool sw_pages_fill(struct page **pages, u64 count, int node);
/* Frees pages up to the first NULL. */
void sw_pages_free(struct page **pages, u64 count);
/* Whole pages of a node in a row, zeroed. Freed by vfree(). NULL as above. */
void *sw_pages_map(u64 size, int node);

/* ---- mapping.c: the memory that readers map */
extern struct sw_header *sw_header;
extern struct sw_probe_status *sw_status;
int sw_mapping_create(void);
void sw_mapping_destroy(void);
/* The page at a file offset of the device; NULL past the end. */
struct page *sw_mapping_page(u64 offset);
/* Any context. */
struct sw_context *sw_lane_context(u32 lane);
/* Handle SW_IOC_SUMS and SW_IOC_DOUBLES. Return 0 or a negative errno. */
long sw_mapping_sums(struct sw_sums __user *user);
long sw_mapping_doubles(struct sw_doubles __user *user);
/* Counts kernel memory, in bytes, for the header. */
void sw_memory_add(s64 bytes);

/* ---- build_id.c */
/*
 * Returns 0 if the running kernel is the one that the script was compiled for, or if
 * its build-id cannot be read and `trust` is set; -ENOEXEC otherwise.
 */
int sw_build_id_check(bool trust);

/* ---- kernel_symbols.c */
/* Fills the script's table of addresses. Returns -ENOENT if one is missing. */
int sw_symbols_find(void);
/* The address of a symbol of the kernel; 0 if there is none. */
u64 sw_symbol_find(const char *name);

/* ---- ring.c */
/* Of one CPU's ring. */
u64 sw_ring_bytes(void);
int sw_rings_create(void);
void sw_rings_destroy(void);
/* A record waits to be read. Any context. */
bool sw_rings_pending(void);
/*
 * These three with the read mutex held.
 *
 * Copies whole records, oldest first; their space is given back at once unless `hold` is
 * set. Returns the number of bytes; -EINVAL if the next record needs more space.
 */
ssize_t sw_rings_read(char __user *to, size_t room, bool hold);
/* Gives back the records that were read and are older than `time`. */
void sw_rings_consumed(u64 time);
/* What was read and not given back is to be read again. */
void sw_rings_unread(void);
/*
 * Asks handlers to wake the reader, which is about to sleep. The caller tests the
 * rings afterwards, not before.
 */
void sw_reader_prepare_sleep(void);
/* Wakes readers. Not in a handler: that is sw_reader_kick(). */
void sw_reader_wake(void);
extern wait_queue_head_t sw_readers;

/* ---- ring_wait.c */
/* Around a handler that may wait for the reader: in this process, with the control mutex held. */
void sw_ring_waits_begin(void);
void sw_ring_waits_end(void);
/* The reader has given space back. */
void sw_ring_waits_wake(void);

/* ---- budget.c; meter.h has the rest */
int sw_budgets_create(void);
void sw_budgets_destroy(void);
/* With the control mutex held, before the first hook is attached. */
void sw_budgets_start(const struct sw_start *options);
/* New budgets, and what was spent so far is forgotten. No handler runs. */
void sw_budgets_set(const struct sw_budgets *budgets);
/* Of the meters' clock. */
u64 sw_meter_ns(u64 cycles);
/* The cost that a probe's hook has: enum sw_cost, or SW_NR_COSTS if none is measured for it. */
u32 sw_hook_cost_of(const struct sw_probe *probe);

/* ---- hook_cost.c */
/* Handles SW_IOC_COSTS. With the control mutex held. */
int sw_hook_costs_measure(u32 *hook_ns);

/* ---- control.c: with the control mutex held, unless a comment says otherwise */
extern struct mutex sw_control_mutex;
void sw_control_create(void);
void sw_control_destroy(void);
/* Handle SW_IOC_ARM and SW_IOC_DISARM. Return 0 or a negative errno. */
int sw_control_arm(const struct sw_budgets *budgets);
int sw_control_disarm(void);
/*
 * Runs begin probes and attaches all hooks. Returns 0 or a negative errno. `instead_of`: the
 * device of the module that gives way when this one's handlers run, or NULL.
 */
int sw_control_start(const struct sw_start *options, struct file *instead_of);
/* Handles SW_IOC_EXIT: sw_exit() for the reader. At any time, with or without the mutex. */
void sw_control_exit(void);
/* Detaches all hooks and runs end or error probes. */
void sw_control_stop(void);
/* Updates the fields of the header and the status that are as of the last sync. */
void sw_control_sync(void);

/* ---- input_probe.c */
/* Runs the input probes for a byte that was typed. With the control mutex held. */
void sw_input(u8 byte);

/* ---- context.c */
/* This CPU's context, as a handler would own it. Preemption is off until it is given back. */
struct sw_context *sw_context_take(u32 probe);
void sw_context_give(struct sw_context *c);
/*
 * Enables or disables the handlers of all CPUs, one after the other. Handlers that
 * run go on to their end. Any context: sw_exit() disables.
 */
void sw_handlers_set_disabled(u32 disabled);
/* Waits until no handler runs. They are disabled. */
void sw_handlers_drain(void);
/* Waits until all handlers that run now have ended; false if one has not within a second. */
bool sw_handlers_quiesce(void);
/* A fresh error budget: one error more than `max_errors` ends the script. */
void sw_errors_reset(u64 max_errors);

static inline void sw_handlers_enable(void)
{
	sw_handlers_set_disabled(0);
}

static inline void sw_handlers_disable(void)
{
	sw_handlers_set_disabled(1);
}

/* ---- device.c */
int sw_device_create(void);
void sw_device_destroy(void);

#endif

#endif
