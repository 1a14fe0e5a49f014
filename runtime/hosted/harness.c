// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * world.c - what the kernel's side of the runtime is for handlers in user space: lanes, gates,
 * errors, state.
 *
 * Each block is an allocation of its own, so that AddressSanitizer sees a handler leave it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include "harness.h"

struct sw_header world_header;

void *sw_user_area;
void **sw_areas;
void *sw_shared;
u32 sw_nr_lanes;
void **sw_lane_areas;
u32 sw_reader_asleep;

static u64 errors, most_errors;
static s64 target;
static u32 acting;

static void *allocate(u64 size)
{
	void *p = aligned_alloc(SW_PAGE, sw_page_up(size ? size : 1));

	if (!p) {
		perror("no memory");
		exit(1);
	}
	memset(p, 0, sw_page_up(size ? size : 1));
	return p;
}

static struct sw_context *context_of(u32 lane)
{
	return sw_lane_areas[lane];
}

static void create_lane(u32 lane)
{
	struct sw_context *c = allocate(sw_area_bytes());
	u32 ring_size = sw_script.ring_size ? sw_script.ring_size : 4096;
	struct sw_ring *ring = aligned_alloc(64, sizeof(*ring));

	memset(ring, 0, sizeof(*ring));
	ring->data = allocate(ring_size);
	ring->size = ring_size;
	c->closed = 1;
	c->seed = 88172645463325252ULL + lane;
	c->ring = ring;
	c->counts = (struct sw_lane_counts *)((char *)c + sw_script.lane_offset +
					      sw_script.lane_counts);
	sw_lane_areas[lane] = c;
}

/* The kernel's variables are the program's: it is linked with what defines them, and -rdynamic. */
static void find_symbols(void)
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

void world_create(u32 lanes)
{
	u32 lane;

	find_symbols();
	sw_nr_lanes = lanes;
	sw_lane_areas = calloc(lanes, sizeof(*sw_lane_areas));
	sw_shared = allocate(sw_script.shared_size);
	for (lane = 0; lane < lanes; lane++)
		create_lane(lane);
	world_enter(0);
	sw_header_fill(&world_header, lanes);
	world_header.loaded_ns = sw_clock_real();
	world_header.memory = lanes * sw_area_bytes() + sw_page_up(sw_script.shared_size);
	if (sw_script.init)
		sw_script.init(sw_shared);
}

void world_destroy(void)
{
	u32 lane;

	for (lane = 0; lane < sw_nr_lanes; lane++) {
		free(context_of(lane)->ring->data);
		free(context_of(lane)->ring);
		free(context_of(lane));
	}
	free(sw_lane_areas);
	free(sw_shared);
}

void world_enter(u32 lane)
{
	acting = lane;
	sw_user_area = sw_lane_areas[lane];
}

s64 sw_cpu(void)
{
	return acting;
}

void world_gates_set(u32 closed)
{
	u32 lane;

	for (lane = 0; lane < sw_nr_lanes; lane++)
		context_of(lane)->closed = closed;
}

void world_errors_reset(u64 most, s64 process)
{
	errors = 0;
	most_errors = most;
	target = process;
	world_header.failed = 0;
	world_header.started_ns = sw_clock_real();
	world_header.time_offset = sw_clock_real() - sw_clock_monotonic();
}

s64 sw_target(void)
{
	return target;
}

void world_set_state(u32 state)
{
	struct sw_context *c = sw_user_area;

	world_header.state = state;
	c->probe = SW_NO_PROBE;
	sw_event_bare(c, SW_EVENT_STATE, state);
}

void sw_exit(struct sw_context *c)
{
	if (world_header.state != SW_RUNNING && world_header.state != SW_STARTING)
		return;
	world_header.state = SW_EXITING;
	world_gates_set(1);
	sw_event_bare(c, SW_EVENT_STATE, SW_EXITING);
}

void sw_refused(struct sw_context *c, struct sw_probe_counts *counts)
{
	if (!c->closed)
		counts->skipped_reentrant++;
}

const char sw_ended[] = "the script has ended itself";

void sw_failed(struct sw_context *c, struct sw_probe_counts *counts)
{
	c->reserving = 0;
	if (c->error == sw_ended)
		return;
	counts->errors++;
	sw_event_text(c, SW_EVENT_ERROR, c->error_site, c->error);
	if (++errors > most_errors) {
		world_header.failed = 1;
		sw_exit(c);
	}
}

void sw_preempt_check(void)
{
}

void sw_reader_kick(void)
{
}

static char file_text[512] = "written\n";

const char *sw_procfs_value(void)
{
	return file_text;
}

void sw_procfs_set(struct sw_context *c, const char *text)
{
	sw_copy(c, file_text, sizeof(file_text), text);
}

void sw_procfs_append(struct sw_context *c, const char *text)
{
	sw_concat(c, file_text, sizeof(file_text), file_text, text);
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

/* Who fires probes looks at their conditions. */
void sw_rearm(void)
{
}

/* An empty ring starts at its front again, so records are contiguous without a second mapping. */
void world_drain(FILE *events)
{
	struct sw_ring *ring = context_of(acting)->ring;

	if (fwrite(ring->data, 1, ring->head, events) != ring->head) {
		perror("cannot write events");
		exit(1);
	}
	ring->head = 0;
	ring->tail = 0;
	ring->tail_seen = 0;
}

/* `size` bytes, filled up to a page. */
static void write_pages(FILE *file, const void *data, u64 size)
{
	static const char zeros[SW_PAGE];
	u64 rest = sw_page_up(size) - size;

	if (fwrite(data, 1, size, file) != size || fwrite(zeros, 1, rest, file) != rest) {
		perror("cannot write the image");
		exit(1);
	}
}

void world_write_image(FILE *image)
{
	u32 lane;

	write_pages(image, &world_header, sizeof(world_header));
	write_pages(image, sw_script.manifest, world_header.manifest_size);
	write_pages(image, sw_shared, sw_script.shared_size);
	for (lane = 0; lane < sw_nr_lanes; lane++)
		write_pages(image, (char *)context_of(lane) + sw_script.lane_offset,
			    sw_script.lane_size);
}
