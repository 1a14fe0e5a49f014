// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * region.c - the memory that readers map: header | manifest | shared region | lanes.
 *
 * Each part is an allocation of its own, so that a lane lies on its CPU's node; sw_region_page()
 * joins them to the one file that readers see.
 */
#include <linux/random.h>
#include <linux/sched/signal.h>
#include "core/runtime.h"
#include "core/mapping.h"

struct sw_header *sw_header;
struct sw_probe_status *sw_status;
void **sw_areas;
void *sw_shared;
u32 sw_nr_lanes;
void **sw_lane_areas;

static void *manifest;

/* The percpu pointer's type for the kernel; handlers use it as a plain one. */
static void *__percpu *areas;

static void *region_alloc(u64 size, int node)
{
	void *p = vzalloc_node(size, node);

	if (p)
		sw_memory_add(size);
	return p;
}

static u64 memory;

void sw_memory_add(s64 bytes)
{
	memory += bytes;
	if (sw_header)
		sw_header->memory = memory;
}

struct sw_context *sw_lane_context(u32 lane)
{
	return sw_lane_areas[lane];
}

static int create_lanes(void)
{
	u32 lane = 0, cpu;

	for_each_possible_cpu (cpu) {
		struct sw_context *c = region_alloc(sw_area_bytes(), cpu_to_node(cpu));
		char *start = (char *)c + sw_script.lane_offset;

		if (!c)
			return -ENOMEM;
		sw_lane_areas[lane++] = c;
		*per_cpu_ptr(areas, cpu) = c;
		c->closed = 1;
		get_random_bytes(&c->seed, sizeof(c->seed));
		c->counts = (struct sw_lane_counts *)(start + sw_script.lane_counts);
	}
	return 0;
}

int sw_region_create(void)
{
	u64 manifest_size = sw_script.manifest_end - sw_script.manifest;
	int error;

	BUILD_BUG_ON(SW_PAGE != PAGE_SIZE);
	if (sw_script.lane_offset % PAGE_SIZE || sw_script.lane_offset < sizeof(struct sw_context))
		return -EINVAL;
	sw_nr_lanes = num_possible_cpus();
	sw_header = region_alloc(PAGE_SIZE, NUMA_NO_NODE);
	manifest = region_alloc(sw_page_up(max_t(u64, manifest_size, 1)), NUMA_NO_NODE);
	sw_shared = region_alloc(sw_page_up(max_t(u64, sw_script.shared_size, 1)), NUMA_NO_NODE);
	sw_lane_areas = kcalloc(sw_nr_lanes, sizeof(*sw_lane_areas), GFP_KERNEL);
	areas = alloc_percpu(void *);
	error = -ENOMEM;
	if (!sw_header || !manifest || !sw_shared || !sw_lane_areas || !areas)
		goto failed;
	error = create_lanes();
	if (error)
		goto failed;
	sw_memory_add(sw_nr_lanes * (sizeof(*sw_lane_areas) + sizeof(void *)));
	sw_areas = (void **__force)(unsigned long)areas; /* handlers know no address spaces */
	sw_status = sw_shared + sw_script.probe_status;
	memcpy(manifest, sw_script.manifest, manifest_size);
	sw_header_fill(sw_header, sw_nr_lanes);
	sw_header->loaded_ns = ktime_get_real_ns();
	return 0;

failed:
	sw_region_destroy();
	return error;
}

void sw_region_destroy(void)
{
	u32 lane;

	for (lane = 0; sw_lane_areas && lane < sw_nr_lanes; lane++)
		vfree(sw_lane_areas[lane]);
	free_percpu(areas);
	kfree(sw_lane_areas);
	vfree(sw_shared);
	vfree(manifest);
	vfree(sw_header);
}

struct page *sw_region_page(u64 offset)
{
	struct sw_header *h = sw_header;
	u64 lane, at;
	void *p;

	if (offset < h->manifest_offset) {
		p = (char *)h + offset;
	} else if (offset < h->shared_offset) {
		p = manifest + (offset - h->manifest_offset);
	} else if (offset < h->lanes_offset) {
		p = sw_shared + (offset - h->shared_offset);
	} else {
		if (!h->lane_stride)
			return NULL;
		lane = div64_u64(offset - h->lanes_offset, h->lane_stride);
		at = offset - h->lanes_offset - lane * h->lane_stride;
		if (lane >= sw_nr_lanes)
			return NULL;
		p = sw_lane_areas[lane] + sw_script.lane_offset + at;
	}
	return vmalloc_to_page(p);
}

/* Words added up at a time: what stays in a CPU's first cache while lane after lane is added. */
#define PIECE (PAGE_SIZE / sizeof(u64))

long sw_region_sums(struct sw_sums __user *request)
{
	u64 size = sw_script.lane_size, done;
	struct sw_sums asked;
	long error = 0;
	u64 *sums;

	if (copy_from_user(&asked, request, sizeof(asked)))
		return -EFAULT;
	if (asked.offset % sizeof(u64) || asked.offset > size ||
	    asked.count > (size - asked.offset) / sizeof(u64))
		return -EINVAL;
	sums = (u64 *)__get_free_page(GFP_KERNEL);
	if (!sums)
		return -ENOMEM;
	for (done = 0; done < asked.count && !error; done += PIECE) {
		u32 count = min_t(u64, asked.count - done, PIECE);

		sw_lanes_add(sums, asked.offset + done * sizeof(u64), count);
		if (copy_to_user(&request->words[done], sums, count * sizeof(u64)))
			error = -EFAULT;
		else if (fatal_signal_pending(current))
			error = -EINTR;
		cond_resched();
	}
	free_page((unsigned long)sums);
	return error;
}
