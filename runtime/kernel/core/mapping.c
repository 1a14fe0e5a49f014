// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory that readers map: header | manifest | shared region | lanes.
 *
 * Each part is an allocation of its own, so that a lane is on its CPU's node;
 * sw_mapping_page() joins them to the one file that readers see.
 *
 * All of it is allocated before a handler can run, and freed after the last one has
 * run and the last mapping is gone (an open device holds the module). So handlers
 * and readers use the pointers below without a lock. Readers map pages read-only
 * and look at them while handlers write: abi.h and the headers of arrays and
 * statistics say what makes each table readable.
 */
#include <linux/random.h>
#include <linux/sched/signal.h>
#include "core/runtime.h"
#include "core/mapping.h"
#include "lib/doubles.h"

struct sw_header *sw_header;
struct sw_probe_status *sw_status;
void **sw_areas;
void *sw_shared;
u32 sw_nr_lanes;
void **sw_lane_areas;

static void *mapping_manifest; /* a copy, so that it begins at a page */

/* `sw_areas` with the kernel's type: handlers know no address spaces. */
static void *__percpu *mapping_blocks;

/* Zeroed and counted; freed by vfree(). */
static void *mapping_alloc(u64 size, int node)
{
	void *p = sw_pages_map(size, node);

	if (p)
		sw_memory_add(size);
	return p;
}

static u64 mapping_memory; /* bytes; sw_header may not be there yet */

void sw_memory_add(s64 bytes)
{
	mapping_memory += bytes;
	if (sw_header)
		sw_header->memory = mapping_memory;
}

struct sw_context *sw_lane_context(u32 lane)
{
	return sw_lane_areas[lane];
}

/* One block for each possible CPU, so that a CPU that comes later has one, too. */
static int mapping_create_lanes(void)
{
	u32 lane = 0, cpu;

	for_each_possible_cpu(cpu) {
		struct sw_context *c = mapping_alloc(sw_block_bytes(), cpu_to_node(cpu));
		char *start = (char *)c + sw_script.lane_offset;

		if (!c)
			return -ENOMEM;
		sw_lane_areas[lane++] = c;
		*per_cpu_ptr(mapping_blocks, cpu) = c;
		c->disabled = 1;
		get_random_bytes(&c->seed, sizeof(c->seed));
		c->counts = (struct sw_lane_counts *)(start + sw_script.lane_counts);
	}
	return 0;
}

/* Everything that grows with the script, the rings included. */
static u64 mapping_needed(void)
{
	u64 a_lane = sw_block_bytes() + sw_ring_bytes();

	return sw_page_align(sw_script.shared_size) + num_possible_cpus() * a_lane;
}

int sw_mapping_create(void)
{
	u64 manifest_size = sw_script.manifest_end - sw_script.manifest;
	int error;

	BUILD_BUG_ON(SW_PAGE_SIZE != PAGE_SIZE);
	if (sw_script.lane_offset % PAGE_SIZE ||
	    sw_script.lane_offset <
		    sizeof(struct sw_context) + (u64)sw_script.nr_probes * sizeof(struct sw_meter))
		return -EINVAL;
	if (sw_script.area_size > U32_MAX || sw_script.lane_size > U32_MAX)
		return -E2BIG;
	error = sw_memory_check(mapping_needed());
	if (error)
		return error;
	sw_nr_lanes = num_possible_cpus();
	sw_header = mapping_alloc(PAGE_SIZE, NUMA_NO_NODE);
	mapping_manifest = mapping_alloc(sw_page_align(max_t(u64, manifest_size, 1)), NUMA_NO_NODE);
	sw_shared =
		mapping_alloc(sw_page_align(max_t(u64, sw_script.shared_size, 1)), NUMA_NO_NODE);
	sw_lane_areas = kcalloc(sw_nr_lanes, sizeof(*sw_lane_areas), SW_GFP);
	mapping_blocks = alloc_percpu_gfp(void *, SW_GFP_PERCPU);
	error = -ENOMEM;
	if (!sw_header || !mapping_manifest || !sw_shared || !sw_lane_areas || !mapping_blocks)
		goto err_destroy;
	error = mapping_create_lanes();
	if (error)
		goto err_destroy;
	sw_memory_add(sw_nr_lanes * (sizeof(*sw_lane_areas) + sizeof(void *)));
	sw_areas = (void **__force)(unsigned long)mapping_blocks;
	sw_status = sw_shared + sw_script.probe_status;
	memcpy(mapping_manifest, sw_script.manifest, manifest_size);
	sw_header_fill(sw_header, sw_nr_lanes);
	sw_header->loaded_ns = ktime_get_real_ns();
	return 0;

err_destroy:
	sw_mapping_destroy();
	return error;
}

void sw_mapping_destroy(void)
{
	u32 lane;

	for (lane = 0; sw_lane_areas && lane < sw_nr_lanes; lane++)
		vfree(sw_lane_areas[lane]);
	free_percpu(mapping_blocks);
	kfree(sw_lane_areas);
	vfree(sw_shared);
	vfree(mapping_manifest);
	vfree(sw_header);
}

struct page *sw_mapping_page(u64 offset)
{
	struct sw_header *h = sw_header;
	u64 lane, at;
	void *p;

	if (offset < h->manifest_offset) {
		p = (char *)h + offset;
	} else if (offset < h->shared_offset) {
		p = mapping_manifest + (offset - h->manifest_offset);
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

/* Words that are added up at a time: they stay in the first-level cache for all lanes. */
#define MAPPING_SUMS_CHUNK (PAGE_SIZE / sizeof(u64))

static bool mapping_has(u64 offset, u64 count)
{
	u64 size = sw_script.lane_size;

	return offset % sizeof(u64) == 0 && offset <= size &&
	       count <= (size - offset) / sizeof(u64);
}

/* After a piece: what ends the request. */
static int mapping_goes_on(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Takes no lock: handlers go on while their words are added up. Each word is one
 * aligned load, so no word is torn, and a sum of counters never decreases from one
 * call to the next.
 */
long sw_mapping_sums(struct sw_sums __user *user)
{
	struct sw_sums request;
	long error = 0;
	u64 *sums, done;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (!mapping_has(request.offset, request.count))
		return -EINVAL;
	sums = (u64 *)__get_free_page(SW_GFP);
	if (!sums)
		return -ENOMEM;
	for (done = 0; done < request.count && !error; done += MAPPING_SUMS_CHUNK) {
		u32 count = min_t(u64, request.count - done, MAPPING_SUMS_CHUNK);

		sw_lanes_add(sums, request.offset + done * sizeof(u64), count);
		error = copy_to_user(&user->words[done], sums, count * sizeof(u64))
				? -EFAULT
				: mapping_goes_on();
	}
	free_page((unsigned long)sums);
	return error;
}

/* SW_IOC_DOUBLES: as sw_mapping_sums(), a few rows at a time. */
long sw_mapping_doubles(struct sw_doubles __user *user)
{
	struct sw_doubles request;
	u32 most, done, rows;
	long error = 0;
	u64 *sums;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (request.first >= request.row_words ||
	    request.count >= request.row_words - request.first ||
	    !mapping_has(request.offset, (u64)max(request.rows, 1u) * request.row_words))
		return -EINVAL;
	most = max_t(u32, MAPPING_SUMS_CHUNK / request.row_words, 1);
	sums = kvmalloc_array(most, request.row_words * sizeof(u64), SW_GFP);
	if (!sums)
		return -ENOMEM;
	request.begin = request.count;
	request.end = 0;
	for (done = 0; done < request.rows && !error; done += rows) {
		u64 at = (u64)done * request.row_words;

		rows = min(request.rows - done, most);
		sw_lanes_add(sums, request.offset + at * sizeof(u64), rows * request.row_words);
		sw_doubles_make(&request, sums, rows);
		error = copy_to_user(&user->words[at], sums,
				     (size_t)rows * request.row_words * sizeof(u64))
				? -EFAULT
				: mapping_goes_on();
	}
	kvfree(sums);
	if (!error && copy_to_user(user, &request, sizeof(request)))
		error = -EFAULT;
	return error;
}
