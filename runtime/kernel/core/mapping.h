/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layout.h - where in a module's mapping its parts lie; no kernel headers. */
#ifndef STAPWATCH_LAYOUT_H
#define STAPWATCH_LAYOUT_H

#define SW_PAGE		 4096ULL
#define sw_page_up(size) (((u64)(size) + SW_PAGE - 1) / SW_PAGE * SW_PAGE)

/* Everything in a fresh header but the times and the memory. */
static inline void sw_header_fill(struct sw_header *h, u32 nr_lanes)
{
	__builtin_memcpy(h->magic, SW_MAGIC, sizeof(h->magic));
	h->abi = SW_ABI;
	h->nr_lanes = nr_lanes;
	h->manifest_offset = SW_PAGE;
	h->manifest_size = (u64)(sw_script.manifest_end - sw_script.manifest);
	h->shared_offset = h->manifest_offset + sw_page_up(h->manifest_size);
	h->shared_size = sw_script.shared_size;
	h->lanes_offset = h->shared_offset + sw_page_up(h->shared_size);
	h->lane_stride = sw_page_up(sw_script.lane_size);
	h->state = SW_LOADED;
}

/* Bytes of one CPU's block. */
static inline u64 sw_area_bytes(void)
{
	u64 lane_end = (u64)sw_script.lane_offset + sw_script.lane_size;

	return sw_page_up(lane_end > sw_script.area_size ? lane_end : sw_script.area_size);
}

#endif
