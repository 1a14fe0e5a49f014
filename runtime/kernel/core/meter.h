/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The meters and what they need of their surroundings: budget.c in the kernel, the harness in
 * user space. No kernel headers.
 */
#ifndef STAPWATCH_CORE_METER_H
#define STAPWATCH_CORE_METER_H

/* ---- meter.c */
/* Fills in a new block's meters: the first hit of each probe is timed. */
void sw_meters_init(struct sw_context *c);
/* Forgets what a CPU spent, before the script goes on; no handler runs. */
void sw_meters_forget(struct sw_context *c);
/* Budgets for hits from now on. */
void sw_meters_limit(const struct sw_budgets *budgets);
/* Cycles that the meter itself adds to a hit; with interrupts off, before a hook is attached. */
u64 sw_meter_overhead(struct sw_context *c);

/* ---- the surroundings; any context, no locks */
/* A clock of this CPU, in cycles. */
u64 sw_meter_clock(void);
/* The cost of a hit that took so many cycles in its handler, hook included: ns. */
u64 sw_meter_cost(u32 probe, u64 cycles);
/* The number of the time slot; it grows by one every 100 ms on all CPUs. */
u32 sw_meter_slot(void);
u32 sw_online_cpus(void);
/* enum sw_state */
u32 sw_state(void);
/*
 * In a handler, or with its context taken: disarms the script, if it runs. True for the
 * one caller that did. The hooks are still attached then, but no new handler starts.
 */
bool sw_disarm(struct sw_context *c, enum sw_breach breach, u32 probe, u64 value, u64 limit);

#endif
