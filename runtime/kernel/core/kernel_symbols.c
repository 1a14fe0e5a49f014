// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses of the kernel's variables, which are not exported to modules.
 *
 * register_kprobe() accepts any symbol: it looks the symbol up, stores the address
 * in the kprobe, and only then finds that there is no code to probe.
 */
#include <linux/kprobes.h>
#include "core/runtime.h"

u64 sw_symbol_find(const char *name)
{
	struct kprobe probe = { .symbol_name = name };

	if (!register_kprobe(&probe))
		unregister_kprobe(&probe);
	return (u64)(unsigned long)probe.addr;
}

int sw_symbols_find(void)
{
	u32 i;

	for (i = 0; i < sw_script.nr_symbols; i++) {
		sw_script.addresses[i] = sw_symbol_find(sw_script.symbols[i]);
		if (!sw_script.addresses[i]) {
			sw_log(KERN_ERR, "the kernel has no symbol '%s'", sw_script.symbols[i]);
			return -ENOENT;
		}
	}
	return 0;
}
