/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Definitions that the hand-written scripts share; they look like generated ones. */
#include "stapwatch.h"
#include "kernel.h" /* BUILD_ID, of the kernel they are built for */

#define NR_WORDS 16 /* per-CPU counters of a script */

/* This CPU's block: the private part, then the lane. */
struct area {
	struct sw_context context;
	struct sw_meter meters[NR_PROBES];
	char frames[1024];
	struct sw_probe_counts counts[NR_PROBES] __aligned(4096);
	struct sw_lane_counts lane_counts;
	u64 words[NR_WORDS];
};

struct shared {
	struct sw_probe_status status[NR_PROBES];
	u64 words[NR_WORDS];
};

#define COUNTS		     ((u32)offsetof(struct area, counts))
#define ENTER(probe)	     ((struct area *)sw_enter(COUNTS, probe))
#define PREPARE(a, probe, r) sw_prepare(&(a)->context, probe, 1000, r)

static const u8 build_id[] = BUILD_ID;
static const char manifest[] = "{\"module\":\"" MODULE_NAME "\"}";

static __always_inline void leave(struct area *a, u32 probe)
{
	if (unlikely(a->context.error))
		sw_failed(&a->context, a->counts + probe);
	sw_leave(&a->context);
}

static __always_inline void print_long(struct area *a, u32 site, s64 value)
{
	u8 *p = sw_event_begin(&a->context, SW_EVENT_PRINT, site, 8);

	if (p)
		sw_event_commit(&a->context, sw_event_long(p, value));
}

#define SCRIPT(ring, start)                                                                        \
	const struct sw_script sw_script = {                                                       \
		.name = MODULE_NAME,                                                               \
		.build_id = build_id,                                                              \
		.build_id_size = sizeof(build_id),                                                 \
		.nr_probes = NR_PROBES,                                                            \
		.probes = probes,                                                                  \
		.manifest = manifest,                                                              \
		.manifest_end = manifest + sizeof(manifest) - 1,                                   \
		.area_size = sizeof(struct area),                                                  \
		.lane_offset = offsetof(struct area, counts),                                      \
		.lane_size = sizeof(struct area) - offsetof(struct area, counts),                  \
		.probe_counts = 0,                                                                 \
		.lane_counts = offsetof(struct area, lane_counts) - offsetof(struct area, counts), \
		.shared_size = sizeof(struct shared),                                              \
		.probe_status = offsetof(struct shared, status),                                   \
		.ring_size = ring,                                                                 \
		.init = start,                                                                     \
	}
