// SPDX-License-Identifier: GPL-2.0-or-later
/* The smallest runtime that links: runs the first probe and prints the manifest to the kernel log. */
#include <linux/module.h>
#include <linux/percpu.h>

#define SW_KERNEL_HEADERS
#include "stapwatch.h"

void **sw_areas;

void sw_hit_skipped(void)
{
	pr_info("standin: refused\n");
}

static int __init standin_init(void)
{
	void (*begin)(void) = sw_script.probes[0].handler;

	sw_areas = (void **)__alloc_percpu(PAGE_SIZE, PAGE_SIZE);
	if (!sw_areas)
		return -ENOMEM;
	begin();
	pr_info("standin: %s loaded, manifest %.*s\n", sw_script.name,
		(int)(sw_script.manifest_end - sw_script.manifest), sw_script.manifest);
	return 0;
}

static void __exit standin_exit(void)
{
	free_percpu((void __percpu *)sw_areas);
	pr_info("standin: %s unloaded\n", sw_script.name);
}

module_init(standin_init);
module_exit(standin_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("stand-in for the runtime");
