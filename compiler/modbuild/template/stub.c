/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The smallest script: built once for each kernel, to learn kbuild's commands and to compare the tiers. */
#include "stapwatch.h"

extern const char sw_manifest[], sw_manifest_end[];

static void begin(void)
{
	sw_enter(0, 0);
}

static const struct sw_probe probes[] = {
	{ .hook = SW_BEGIN, .handler = begin },
};

const struct sw_script sw_script = {
	.name = "stapwatch_stub",
	.nr_probes = 1,
	.probes = probes,
	.manifest = sw_manifest,
	.manifest_end = sw_manifest_end,
};
