/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A script with embedded C: it includes kernel headers and calls what the kernel exports. */
#include <stapwatch_embedded.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/module.h>

#define SW_KERNEL_HEADERS
#include "stapwatch.h"

extern const char sw_manifest[], sw_manifest_end[];

static void begin(void)
{
	pr_info("embedded: %u cpus, %lu, module %s\n", num_possible_cpus(),
		(unsigned long)jiffies_to_msecs(jiffies), KBUILD_MODNAME);
}

static const struct sw_probe probes[] = {
	{ .hook = SW_BEGIN, .handler = begin },
};

const struct sw_script sw_script = {
	.name = "an embedded script",
	.nr_probes = 1,
	.probes = probes,
	.manifest = sw_manifest,
	.manifest_end = sw_manifest_end,
};
