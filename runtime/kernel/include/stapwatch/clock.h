/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time. The kernel's clocks that take no lock: readable in any context, NMI included. */
#ifndef STAPWATCH_CLOCK_H
#define STAPWATCH_CLOCK_H

/**
 * sw_clock_real() - wall-clock time
 *
 * Context: Any, NMI included.
 * Return: ns since 1970 (CLOCK_REALTIME).
 */
u64 sw_clock_real(void);

/**
 * sw_clock_monotonic() - time since boot without suspend, as event records carry it
 *
 * Context: Any, NMI included.
 * Return: ns (CLOCK_MONOTONIC).
 */
u64 sw_clock_monotonic(void);

/**
 * sw_clock_boot() - time since boot with suspend
 *
 * Context: Any, NMI included.
 * Return: ns (CLOCK_BOOTTIME).
 */
u64 sw_clock_boot(void);

/**
 * sw_cycles() - this CPU's cycle counter
 *
 * Context: Any, NMI included.
 * Return: cycles, in the processor's unit; 0 if it has no such counter.
 */
u64 sw_cycles(void);

/**
 * sw_jiffies() - the kernel's tick count
 *
 * Context: Any, NMI included.
 * Return: jiffies; sw_hz() of them make a second.
 */
u64 sw_jiffies(void);

/**
 * sw_hz() - ticks per second
 *
 * Context: Any, NMI included.
 * Return: CONFIG_HZ.
 */
u64 sw_hz(void);

#endif
