// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that grows with the script: tables, rings. Where there is not enough of it, the
 * module is refused, and nobody else pays for it.
 *
 * The kernel kills a process for GFP_KERNEL. SW_GFP makes the allocation fail instead,
 * but by then the page cache is gone, and the next page that another process needs may
 * call the OOM killer all the same. So a module takes no more than three quarters of
 * what is available, and takes it in steps, each of which leaves a reserve.
 * runtime/reader/module_memory.py has the same rule, and can name the arrays.
 */
#include <linux/sched/signal.h>
#include "core/runtime.h"

#define MEMORY_STEP    ((16ULL << 20) / PAGE_SIZE) /* pages */
#define MEMORY_RESERVE 32			   /* a 32nd of all memory stays available */

static u64 memory_available(void)
{
	return (u64)max(si_mem_available(), 0L) * PAGE_SIZE;
}

/* Beside allocations of others, which the check at the start did not know of. */
static bool memory_has_room(u64 bytes)
{
	return memory_available() >= bytes + (u64)totalram_pages() * PAGE_SIZE / MEMORY_RESERVE;
}

int sw_memory_check(u64 bytes)
{
	if (bytes <= memory_available() / 4 * 3)
		return 0;
	sw_log(KERN_ERR,
	       "needs %llu KiB of memory, which is more than 3/4 of the %llu KiB available",
	       bytes >> 10, memory_available() >> 10);
	return -ENOMEM;
}

void sw_pages_free(struct page **pages, u64 count)
{
	u64 i;

	for (i = 0; i < count && pages[i]; i++)
		__free_page(pages[i]);
}

static bool memory_fill_step(struct page **pages, u64 count, int node)
{
	u64 i;

	if (!memory_has_room(count * PAGE_SIZE) || fatal_signal_pending(current))
		return false;
	for (i = 0; i < count; i++) {
		pages[i] = alloc_pages_node(node, SW_GFP | __GFP_ZERO, 0);
		if (!pages[i])
			return false;
	}
	cond_resched();
	return true;
}

bool sw_pages_fill(struct page **pages, u64 count, int node)
{
	u64 done;

	for (done = 0; done < count; done += MEMORY_STEP)
		if (!memory_fill_step(pages + done, min_t(u64, count - done, MEMORY_STEP), node))
			break;
	if (done >= count)
		return true;
	sw_pages_free(pages, count);
	return false;
}

/* VM_MAP_PUT_PAGES: vfree() frees the pages and their array, too. */
void *sw_pages_map(u64 size, int node)
{
	u64 count = size / PAGE_SIZE;
	struct page **pages = kvcalloc(count, sizeof(*pages), SW_GFP);
	void *mapped;

	if (!pages)
		return NULL;
	if (!sw_pages_fill(pages, count, node))
		goto err_free;
	mapped = vmap(pages, count, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (mapped)
		return mapped;
	sw_pages_free(pages, count);
err_free:
	kvfree(pages);
	return NULL;
}
