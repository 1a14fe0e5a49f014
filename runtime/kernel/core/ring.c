// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event rings' memory, and their consumer: a merge of all CPUs by time.
 *
 * event.c is the producer and says what its barriers pair with. Consumers exclude
 * each other by the read mutex of device.c, so `tail`, `next` and `head_seen` have
 * one writer.
 *
 * Sleeping and waking. The consumer sets `sw_reader_asleep` and then tests the
 * heads; a producer stores its head and then tests `sw_reader_asleep`. Without full
 * barriers on both sides each may miss the other's store, and a wake-up is lost.
 * The consumer has its barrier, but one in every handler that prints would be too
 * expensive. Instead the consumer starts a timer that tests the heads once more
 * after RING_WAKEUP_MS: by then every store that was in a CPU's store buffer is
 * visible, and handlers that print later see that the reader sleeps.
 */
#include <linux/irq_work.h>
#include <linux/timer.h>
#include "core/runtime.h"

#define RING_WAKEUP_MS 10

u32 sw_reader_asleep;
DECLARE_WAIT_QUEUE_HEAD(sw_readers);

static struct irq_work ring_kick;
static struct timer_list ring_wakeup_timer;

static struct sw_ring *ring_of_lane(u32 lane)
{
	return sw_lane_context(lane)->ring;
}

static void ring_on_kick(struct irq_work *work)
{
	wake_up_all(&sw_readers);
}

static void ring_on_wakeup_timer(struct timer_list *timer)
{
	if (sw_rings_pending())
		sw_reader_wake();
}

/* From any context: waking takes locks that the interrupted code may hold. */
void sw_reader_kick(void)
{
	WRITE_ONCE(sw_reader_asleep, 0);
	irq_work_queue(&ring_kick);
}

void sw_reader_wake(void)
{
	WRITE_ONCE(sw_reader_asleep, 0);
	wake_up_all(&sw_readers);
}

void sw_reader_prepare_sleep(void)
{
	WRITE_ONCE(sw_reader_asleep, 1);
	smp_mb(); /* the caller tests the heads next; see the top of this file */
	mod_timer(&ring_wakeup_timer, jiffies + msecs_to_jiffies(RING_WAKEUP_MS) + 1);
}

static void ring_destroy(struct sw_ring *ring)
{
	vunmap(ring->data);
	sw_pages_free(ring->pages, ring->size / PAGE_SIZE);
	kvfree(ring->pages);
	kfree(ring);
}

/* A ring on a node; its pages are mapped twice in a row, see ring.h. */
static struct sw_ring *ring_create(u64 size, int node)
{
	struct sw_ring *ring = kzalloc_node(sizeof(*ring), SW_GFP, node);
	u64 count = size / PAGE_SIZE;
	struct page **pages = kvcalloc(2 * count, sizeof(*pages), SW_GFP);

	if (!ring || !pages || !sw_pages_fill(pages, count, node))
		goto err_free;
	memcpy(pages + count, pages, count * sizeof(*pages));
	ring->size = size;
	ring->pages = pages;
	ring->data = vmap(pages, 2 * count, VM_MAP, PAGE_KERNEL);
	if (!ring->data)
		goto err_free_pages;
	sw_memory_add(size + sizeof(*ring) + 2 * count * sizeof(*pages));
	return ring;

err_free_pages:
	sw_pages_free(pages, count);
err_free:
	kvfree(pages);
	kfree(ring);
	return NULL;
}

/* A script that prints nothing still sends its errors and states. */
u64 sw_ring_bytes(void)
{
	return max_t(u64, sw_script.ring_size, PAGE_SIZE);
}

int sw_rings_create(void)
{
	u64 size = sw_ring_bytes();
	u32 lane = 0, cpu;

	init_irq_work(&ring_kick, ring_on_kick);
	timer_setup(&ring_wakeup_timer, ring_on_wakeup_timer, 0);
	if (!is_power_of_2(size))
		return -EINVAL;
	for_each_possible_cpu(cpu) {
		struct sw_ring *ring = ring_create(size, cpu_to_node(cpu));

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

	irq_work_sync(&ring_kick);
	sw_timer_delete_sync(&ring_wakeup_timer);
	sw_for_each_lane(lane) {
		if (ring_of_lane(lane))
			ring_destroy(ring_of_lane(lane));
		sw_lane_context(lane)->ring = NULL;
	}
}

bool sw_rings_pending(void)
{
	u32 lane;

	sw_for_each_lane(lane)
		if (READ_ONCE(ring_of_lane(lane)->head) != READ_ONCE(ring_of_lane(lane)->next))
			return true;
	return false;
}

/* The record that starts at a position. */
static const struct sw_event *ring_record_at(const struct sw_ring *ring, u64 position)
{
	return (const struct sw_event *)(ring->data + (position & (ring->size - 1)));
}

/*
 * Takes a snapshot of all heads, after the caller has taken the time. A handler sets
 * `record_in_progress` before it takes the record's time. So a record that is older
 * than the caller's time is published or in progress, and waiting until none is in
 * progress makes the merge complete up to that time. The wait is bounded, and a store
 * may still be in the other CPU's store buffer: then the record is not lost, it only
 * comes after younger records of other CPUs.
 *
 * The load-acquire pairs with the store-release in sw_event_commit().
 */
static void ring_take_snapshot(void)
{
	u32 lane, patience;

	sw_for_each_lane(lane) {
		for (patience = 1000;
		     READ_ONCE(sw_lane_context(lane)->record_in_progress) && patience; patience--)
			cpu_relax();
		ring_of_lane(lane)->head_seen = smp_load_acquire(&ring_of_lane(lane)->head);
	}
}

/*
 * The ring with the oldest record that is not younger than `cutoff`; NULL if there is
 * none. `until` gets the time up to which it may be read before it is another ring's
 * turn.
 */
static struct sw_ring *ring_oldest(u64 cutoff, u64 *until)
{
	struct sw_ring *oldest = NULL;
	u64 first = cutoff, second = cutoff;
	u32 lane;

	sw_for_each_lane(lane) {
		struct sw_ring *ring = ring_of_lane(lane);
		u64 time;

		if (ring->next == ring->head_seen)
			continue;
		time = ring_record_at(ring, ring->next)->time;
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

/* Bytes of the records from `next` on that are not younger than `until` and fit `room`. */
static u64 ring_run_length(const struct sw_ring *ring, u64 until, u64 room)
{
	u64 size = 0;

	while (ring->next + size != ring->head_seen) {
		const struct sw_event *record = ring_record_at(ring, ring->next + size);

		if (record->time > until || size + record->size > room)
			break;
		size += record->size;
	}
	return size;
}

/*
 * The store-release gives the space back to the producer, after the records have been
 * copied. It pairs with the load-acquire in event_begin_when_full().
 */
static void ring_give_back(struct sw_ring *ring, u64 position)
{
	smp_store_release(&ring->tail, position);
}

ssize_t sw_rings_read(char __user *to, size_t room, bool hold)
{
	u64 cutoff = ktime_get_mono_fast_ns(), until, size;
	struct sw_ring *ring;
	size_t total = 0;

	ring_take_snapshot();
	while ((ring = ring_oldest(cutoff, &until))) {
		size = ring_run_length(ring, until, room - total);
		if (!size)
			return total ? total : -EINVAL;
		if (copy_to_user(to + total, ring_record_at(ring, ring->next), size))
			return total ? total : -EFAULT;
		WRITE_ONCE(ring->next, ring->next + size);
		if (!hold)
			ring_give_back(ring, ring->next);
		total += size;
		sw_ring_waits_wake();
		cond_resched();
	}
	return total;
}

/* The records of one CPU are in the order of their time. */
void sw_rings_consumed(u64 time)
{
	u32 lane;

	sw_for_each_lane(lane) {
		struct sw_ring *ring = ring_of_lane(lane);
		u64 position = ring->tail;

		while (position != ring->next && ring_record_at(ring, position)->time < time)
			position += ring_record_at(ring, position)->size;
		ring_give_back(ring, position);
		sw_ring_waits_wake();
		cond_resched();
	}
}

void sw_rings_unread(void)
{
	u32 lane;

	sw_for_each_lane(lane)
		WRITE_ONCE(ring_of_lane(lane)->next, ring_of_lane(lane)->tail);
}
