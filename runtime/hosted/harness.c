// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replaces the runtime's kernel side (mapping.c, context.c, control.c, ring.c) for
 * handlers in user space: lanes, errors, state.
 *
 * Each block is an allocation of its own, so that AddressSanitizer sees an access past
 * its end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include "harness.h"

struct sw_header harness_header;

__thread void *sw_user_area;
void **sw_areas;
void *sw_shared;
u32 sw_nr_lanes;
void **sw_lane_areas;
u32 sw_reader_asleep;

static u64 harness_errors, harness_max_errors; /* since the start */
static s64 harness_target;
static u32 harness_lane; /* the process acts as its CPU */

static void *harness_alloc(u64 size)
{
	void *p = aligned_alloc(SW_PAGE_SIZE, sw_page_align(size ? size : 1));

	if (!p) {
		perror("no memory");
		exit(1);
	}
	memset(p, 0, sw_page_align(size ? size : 1));
	return p;
}

/* Frames are several times as large as in the kernel, without optimisation and with sanitizers. */
unsigned long sw_stack_end(void)
{
	return sw_own_sp() - 64 * 1024;
}

static struct sw_context *harness_context(u32 lane)
{
	return sw_lane_areas[lane];
}

static void harness_create_lane(u32 lane)
{
	struct sw_context *c = harness_alloc(sw_block_bytes());
	u32 ring_size = sw_script.ring_size ? sw_script.ring_size : 4096;
	struct sw_ring *ring = aligned_alloc(64, sizeof(*ring));

	memset(ring, 0, sizeof(*ring));
	ring->data = harness_alloc(ring_size);
	ring->size = ring_size;
	c->disabled = 1;
	c->seed = 88172645463325252ULL + lane;
	c->ring = ring;
	c->counts = (struct sw_lane_counts *)((char *)c + sw_script.lane_offset +
					      sw_script.lane_counts);
	sw_lane_areas[lane] = c;
	sw_meters_init(c);
}

/* The kernel's variables are the program's own, which is linked with -rdynamic. */
static void harness_find_symbols(void)
{
	u32 i;

	for (i = 0; i < sw_script.nr_symbols; i++) {
		void *found = dlsym(RTLD_DEFAULT, sw_script.symbols[i]);

		if (!found) {
			fprintf(stderr, "no symbol '%s'\n", sw_script.symbols[i]);
			exit(1);
		}
		sw_script.addresses[i] = (u64)(unsigned long)found;
	}
}

void harness_create(u32 lanes)
{
	u32 lane;

	harness_find_symbols();
	sw_nr_lanes = lanes;
	sw_lane_areas = calloc(lanes, sizeof(*sw_lane_areas));
	sw_shared = harness_alloc(sw_script.shared_size);
	for (lane = 0; lane < lanes; lane++)
		harness_create_lane(lane);
	harness_set_lane(0);
	sw_header_fill(&harness_header, lanes);
	harness_header.loaded_ns = sw_clock_real();
	harness_header.memory = lanes * sw_block_bytes() + sw_page_align(sw_script.shared_size);
	if (sw_script.init)
		sw_script.init(sw_shared);
}

void harness_destroy(void)
{
	u32 lane;

	sw_for_each_lane(lane) {
		free(harness_context(lane)->ring->data);
		free(harness_context(lane)->ring);
		free(harness_context(lane));
	}
	free(sw_lane_areas);
	free(sw_shared);
}

void harness_set_lane(u32 lane)
{
	harness_lane = lane;
	sw_user_area = sw_lane_areas[lane];
}

s64 sw_cpu(void)
{
	return harness_lane;
}

void harness_set_disabled(u32 disabled)
{
	u32 lane;

	sw_for_each_lane(lane)
		harness_context(lane)->disabled = disabled;
}

void harness_errors_reset(u64 max_errors, s64 target)
{
	harness_errors = 0;
	harness_max_errors = max_errors;
	harness_target = target;
	harness_header.failed = 0;
	harness_header.started_ns = sw_clock_real();
	harness_header.time_offset = sw_clock_real() - sw_clock_monotonic();
}

/* No time passes, so that a run has the same result each time. */
u64 sw_meter_clock(void)
{
	return 0;
}

u64 sw_meter_cost(u32 probe, u64 cycles)
{
	return cycles;
}

u32 sw_meter_slot(void)
{
	return 0;
}

u32 sw_online_cpus(void)
{
	return sw_nr_lanes;
}

u32 sw_state(void)
{
	return harness_header.state;
}

bool sw_disarm(struct sw_context *c, enum sw_breach breach, u32 probe, u64 value, u64 limit)
{
	return false;
}

s64 sw_target(void)
{
	return harness_target;
}

void harness_set_state(u32 state)
{
	struct sw_context *c = sw_user_area;

	harness_header.state = state;
	c->probe = SW_NO_PROBE;
	sw_event_bare(c, SW_EVENT_STATE, state);
}

void sw_exit(struct sw_context *c)
{
	if (harness_header.state != SW_RUNNING && harness_header.state != SW_STARTING)
		return;
	harness_header.state = SW_EXITING;
	harness_set_disabled(1);
	sw_event_bare(c, SW_EVENT_STATE, SW_EXITING);
}

void sw_hit_skipped(struct sw_context *c, struct sw_probe_counts *counts)
{
	if (!c->disabled)
		counts->skipped_reentrant++;
}

const char sw_ended[] = "the script has ended itself";

void sw_failed(struct sw_context *c, struct sw_probe_counts *counts)
{
	c->record_in_progress = 0;
	if (c->error == sw_ended)
		return;
	counts->errors++;
	sw_event_text(c, SW_EVENT_ERROR, c->error_site, c->error);
	if (++harness_errors > harness_max_errors) {
		harness_header.failed = 1;
		sw_exit(c);
	}
}

void sw_preempt_check(void)
{
}

void sw_reader_kick(void)
{
}

bool sw_ring_wait(struct sw_context *c, u64 need)
{
	return false;
}

static char harness_procfs_value[512] = "written\n";

const char *sw_procfs_value(void)
{
	return harness_procfs_value;
}

void sw_procfs_set(struct sw_context *c, const char *text)
{
	sw_copy(c, harness_procfs_value, sizeof(harness_procfs_value), text);
}

void sw_procfs_append(struct sw_context *c, const char *text)
{
	sw_concat(c, harness_procfs_value, sizeof(harness_procfs_value), harness_procfs_value,
		  text);
}

void sw_procfs_refuse(void)
{
}

s64 sw_seconds_west(void)
{
	return -3600;
}

const char *sw_time_zone(void)
{
	return "CET";
}

s64 sw_input_char(void)
{
	return 'k';
}

const char *sw_input_line(void)
{
	return "a line\n";
}

/* run.c evaluates the conditions before each hit. */
void sw_rearm(void)
{
}

/* An empty ring begins at its start again: records are contiguous without a second mapping. */
void harness_drain_ring(FILE *events)
{
	struct sw_ring *ring = harness_context(harness_lane)->ring;

	if (fwrite(ring->data, 1, ring->head, events) != ring->head) {
		perror("cannot write events");
		exit(1);
	}
	ring->head = 0;
	ring->tail = 0;
	ring->tail_seen = 0;
}

/* Writes `size` bytes and zeros up to the end of the page. */
static void harness_write_pages(FILE *file, const void *data, u64 size)
{
	static const char zeros[SW_PAGE_SIZE];
	u64 rest = sw_page_align(size) - size;

	if (fwrite(data, 1, size, file) != size || fwrite(zeros, 1, rest, file) != rest) {
		perror("cannot write the image");
		exit(1);
	}
}

void harness_write_image(FILE *image)
{
	u32 lane;

	harness_write_pages(image, &harness_header, sizeof(harness_header));
	harness_write_pages(image, sw_script.manifest, harness_header.manifest_size);
	harness_write_pages(image, sw_shared, sw_script.shared_size);
	sw_for_each_lane(lane)
		harness_write_pages(image, (char *)harness_context(lane) + sw_script.lane_offset,
				    sw_script.lane_size);
}
