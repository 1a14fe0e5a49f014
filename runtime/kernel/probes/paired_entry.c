// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A function's entry for which a kretprobe of the same function does the work: its
 * entry handler counts the hits, so nothing is attached here.
 *
 * It is late, so the kretprobe has been attached before, or has failed.
 */
#include "probes/hook.h"

static u32 paired_entry_counted_by(const struct sw_probe *probe)
{
	return probe->paired.kretprobe;
}

static int paired_entry_attach(struct sw_attachment *a)
{
	const struct sw_probe_status *status = &sw_status[a->probe->paired.kretprobe];

	return status->armed ? 0 : status->error ?: -ENOENT;
}

const struct sw_hook_ops sw_paired_entry_ops = {
	.attach = paired_entry_attach,
	.counted_by = paired_entry_counted_by,
	.late = true,
};
