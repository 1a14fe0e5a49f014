/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A script as a code generator would write it for the stand-in runtime. */
#include "stapwatch.h"

extern const char sw_manifest[], sw_manifest_end[];

static u64 reads[4];

static void first(void)
{
	void *area = sw_enter(0, 0);
	u32 i;

	if (!area)
		return;
	for (i = 0; i < 4; i++)
		reads[i] += i;
}

static void second(void)
{
	sw_enter(8, 1);
	reads[3] = reads[2] / (reads[1] | 1);
}

static const struct sw_probe probes[] = {
	{ .hook = SW_BEGIN, .handler = first },
	{ .hook = SW_BEGIN, .handler = second },
};

const struct sw_script sw_script = {
	.name = "a script",
	.nr_probes = 2,
	.probes = probes,
	.manifest = sw_manifest,
	.manifest_end = sw_manifest_end,
};
