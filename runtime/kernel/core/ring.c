// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring.c - the event rings' memory, and their reader: a merge of all CPUs by time.
 *
 * Going to sleep without a missed wake-up would need a full barrier in every handler that prints.
 * Instead the sleeper arms a timer that looks once more shortly after: by then stores that were
 * under way are visible, and later handlers see the sleeper.
 */
#include <linux/irq_work.h>
#include <linux/timer.h>
#include "core/runtime.h"

#define WATCH_MS 10

u32 sw_reader_asleep;
DECLARE_WAIT_QUEUE_HEAD(sw_readers);

static struct irq_work kick;
static struct timer_list watch;

static struct sw_ring *lane_ring(u32 lane)
{
	return sw_lane_context(lane)->ring;
}

static void on_kick(struct irq_work *work)
{
	wake_up_all(&sw_readers);
}

static void on_watch(struct timer_list *timer)
{
	if (sw_rings_pending())
		sw_reader_wake();
}

void sw_reader_kick(void)
{
	WRITE_ONCE(sw_reader_asleep, 0);
	irq_work_queue(&kick);
}

void sw_reader_wake(void)
{
	WRITE_ONCE(sw_reader_asleep, 0);
	wake_up_all(&sw_readers);
}

void sw_reader_sleeps(void)
{
	WRITE_ONCE(sw_reader_asleep, 1);
	smp_mb();
	mod_timer(&watch, jiffies + msecs_to_jiffies(WATCH_MS) + 1);
}

static void destroy_ring(struct sw_ring *ring)
{
	struct page **pages = ring->pages;
	u64 i, count = ring->size / PAGE_SIZE;

	if (ring->data)
		vunmap(ring->data);
	for (i = 0; pages && i < count && pages[i]; i++)
		__free_page(pages[i]);
	kvfree(pages);
	kfree(ring);
}

static struct sw_ring *create_ring(u64 size, int node)
{
	struct sw_ring *ring = kzalloc_node(sizeof(*ring), GFP_KERNEL, node);
	u64 i, count = size / PAGE_SIZE;
	struct page **pages;

	if (!ring)
		return NULL;
	pages = kvcalloc(2 * count, sizeof(*pages), GFP_KERNEL);
	ring->size = size;
	ring->pages = pages;
	for (i = 0; pages && i < count; i++) {
		pages[i] = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, 0);
		pages[count + i] = pages[i];
		if (!pages[i])
			goto failed;
	}
	if (pages)
		ring->data = vmap(pages, 2 * count, VM_MAP, PAGE_KERNEL);
	if (!ring->data)
		goto failed;
	sw_memory_add(size + sizeof(*ring) + 2 * count * sizeof(*pages));
	return ring;

failed:
	destroy_ring(ring);
	return NULL;
}

int sw_rings_create(void)
{
	/* A script that prints nothing still has errors and states to tell. */
	u64 size = max_t(u64, sw_script.ring_size, PAGE_SIZE);
	u32 lane = 0, cpu;

	init_irq_work(&kick, on_kick);
	timer_setup(&watch, on_watch, 0);
	if (!is_power_of_2(size))
		return -EINVAL;
	for_each_possible_cpu (cpu) {
		struct sw_ring *ring = create_ring(size, cpu_to_node(cpu));

		if (!ring) {
			sw_rings_destroy();
			return -ENOMEM;
		}
		sw_lane_context(lane++)->ring = ring;
	}
	return 0;
}

void sw_rings_destroy(void)
{
	u32 lane;

	irq_work_sync(&kick);
	sw_timer_delete_sync(&watch);
	for (lane = 0; lane < sw_nr_lanes; lane++) {
		if (lane_ring(lane))
			destroy_ring(lane_ring(lane));
		sw_lane_context(lane)->ring = NULL;
	}
}

bool sw_rings_pending(void)
{
	u32 lane;

	for (lane = 0; lane < sw_nr_lanes; lane++)
		if (READ_ONCE(lane_ring(lane)->head) != READ_ONCE(lane_ring(lane)->tail))
			return true;
	return false;
}

static const struct sw_event *record_at(const struct sw_ring *ring, u64 position)
{
	return (const struct sw_event *)(ring->data + (position & (ring->size - 1)));
}

/* Takes a snapshot of all heads; a record that a handler has begun before is waited for, shortly.
 */
static void take_limits(void)
{
	u32 lane, patience;

	for (lane = 0; lane < sw_nr_lanes; lane++) {
		for (patience = 1000; READ_ONCE(sw_lane_context(lane)->reserving) && patience;
		     patience--)
			cpu_relax();
		lane_ring(lane)->limit = smp_load_acquire(&lane_ring(lane)->head);
	}
}

/* The ring with the oldest record not after `cutoff`; `until`: how far it may be read before
 * another's turn. */
static struct sw_ring *oldest_ring(u64 cutoff, u64 *until)
{
	struct sw_ring *oldest = NULL;
	u64 first = cutoff, second = cutoff;
	u32 lane;

	for (lane = 0; lane < sw_nr_lanes; lane++) {
		struct sw_ring *ring = lane_ring(lane);
		u64 time;

		if (ring->tail == ring->limit)
			continue;
		time = record_at(ring, ring->tail)->time;
		if (time < first || (!oldest && time == first)) {
			second = first;
			first = time;
			oldest = ring;
		} else if (time < second) {
			second = time;
		}
	}
	*until = second;
	return oldest;
}

/* Bytes of the records from `tail` on that are not after `until` and fit `room`. */
static u64 run_length(const struct sw_ring *ring, u64 until, u64 room)
{
	u64 size = 0;

	while (ring->tail + size != ring->limit) {
		const struct sw_event *record = record_at(ring, ring->tail + size);

		if (record->time > until || size + record->size > room)
			break;
		size += record->size;
	}
	return size;
}

ssize_t sw_rings_read(char __user *to, size_t room)
{
	u64 cutoff = ktime_get_mono_fast_ns(), until, size;
	struct sw_ring *ring;
	size_t total = 0;

	take_limits();
	while ((ring = oldest_ring(cutoff, &until))) {
		size = run_length(ring, until, room - total);
		if (!size)
			return total ? total : -EINVAL;
		if (copy_to_user(to + total, record_at(ring, ring->tail), size))
			return total ? total : -EFAULT;
		smp_store_release(&ring->tail, ring->tail + size);
		total += size;
		cond_resched();
	}
	return total;
}
