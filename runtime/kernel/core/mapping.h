/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the parts of a module's mapping are; no kernel headers.
 *
 *   0        SW_PAGE_SIZE   shared_offset   lanes_offset     + lane_stride
 *   | header | manifest     | shared region | lane 0         | lane 1 | ...
 *
 * Each part begins at a page.
 */
#ifndef STAPWATCH_MAPPING_H
#define STAPWATCH_MAPPING_H

#define SW_PAGE_SIZE	    4096ULL
#define sw_page_align(size) (((u64)(size) + SW_PAGE_SIZE - 1) / SW_PAGE_SIZE * SW_PAGE_SIZE)

/* Fills in a new header, but for the times and the memory. */
static inline void sw_header_fill(struct sw_header *h, u32 nr_lanes)
{
	__builtin_memcpy(h->magic, SW_MAGIC, sizeof(h->magic));
	h->abi = SW_ABI;
	h->nr_lanes = nr_lanes;
	h->manifest_offset = SW_PAGE_SIZE;
	h->manifest_size = (u64)(sw_script.manifest_end - sw_script.manifest);
	h->shared_offset = h->manifest_offset + sw_page_align(h->manifest_size);
	h->shared_size = sw_script.shared_size;
	h->lanes_offset = h->shared_offset + sw_page_align(h->shared_size);
	h->lane_stride = sw_page_align(sw_script.lane_size);
	h->state = SW_LOADED;
	h->breach_probe = SW_NO_PROBE;
	h->sizes = (struct sw_sizes){
		.header = sizeof(struct sw_header),
		.probe_counts = sizeof(struct sw_probe_counts),
		.probe_status = sizeof(struct sw_probe_status),
		.lane_counts = sizeof(struct sw_lane_counts),
		.event = sizeof(struct sw_event),
		.start = sizeof(struct sw_start),
	};
}

/* Bytes of one CPU's block, in whole pages. */
static inline u64 sw_block_bytes(void)
{
	u64 lane_end = (u64)sw_script.lane_offset + sw_script.lane_size;

	return sw_page_align(lane_end > sw_script.area_size ? lane_end : sw_script.area_size);
}

#endif
