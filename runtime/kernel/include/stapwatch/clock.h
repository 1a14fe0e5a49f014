/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clock.h - time, readable everywhere, NMIs included. */
#ifndef STAPWATCH_CLOCK_H
#define STAPWATCH_CLOCK_H

u64 sw_clock_real(void);      /* ns since 1970 */
u64 sw_clock_monotonic(void); /* ns since boot, without sleep */
u64 sw_clock_boot(void);      /* ns since boot, with sleep */
u64 sw_cycles(void);
u64 sw_jiffies(void);
u64 sw_hz(void); /* jiffies a second */

#endif
