// SPDX-License-Identifier: GPL-2.0-or-later
/* The clocks of the kernel that take no lock: the fast variants are safe in an NMI. */
#include <linux/jiffies.h>
#include <linux/timex.h>
#include "core/runtime.h"

u64 sw_clock_real(void)
{
	return ktime_get_real_fast_ns();
}

u64 sw_clock_monotonic(void)
{
	return ktime_get_mono_fast_ns();
}

u64 sw_clock_boot(void)
{
	return ktime_get_boot_fast_ns();
}

u64 sw_cycles(void)
{
	return get_cycles();
}

u64 sw_jiffies(void)
{
	return READ_ONCE(jiffies);
}

u64 sw_hz(void)
{
	return HZ;
}
