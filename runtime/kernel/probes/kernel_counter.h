/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A 32-bit counter of the kernel's as one of 64 bits; no kernel headers. */
#ifndef STAPWATCH_KERNEL_COUNTER_H
#define STAPWATCH_KERNEL_COUNTER_H

struct sw_kernel_counter {
	u64 total;
	u32 last; /* what the kernel's counter had when `total` was right */
};

/*
 * Adds what the kernel has counted since the last call, modulo 2^32, and returns the
 * total. It has to be called before 2^31 more have been counted.
 *
 * The kernel increments some of its counters without atomicity. So one may go back a
 * little, when a CPU stores a value that it read before others counted: the total then
 * waits until the counter has caught up.
 */
static inline u64 sw_kernel_counter_read(struct sw_kernel_counter *counter, u32 now)
{
	u32 more = now - counter->last;

	if (more <= 0x7fffffff) {
		counter->total += more;
		counter->last = now;
	}
	return counter->total;
}

#endif
