// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing event records: the producer's side of a ring. No kernel headers, so that
 * it also runs in user space.
 *
 * One producer for each ring: the handler that owns this CPU's context, preemption
 * off. Nested hits are skipped, so only it writes `head`, `tail_seen` and the data
 * between them. One consumer at a time, on any CPU: ring.c.
 *
 *   - sw_event_commit() publishes a record by a store-release of `head`. It pairs
 *     with the load-acquire in ring_take_snapshot(): a reader that sees the new
 *     head sees the whole record.
 *   - The reader gives space back by a store-release of `tail`. It pairs with the
 *     load-acquire in event_begin_when_full(): the record is not overwritten before the
 *     reader has copied it. `tail` is on the consumer's cache line, so it is loaded
 *     only if the ring seems full by the producer's last copy of it.
 *   - The store of `head` may become visible after the load of `sw_reader_asleep`.
 *     A full barrier here would cost every print; the reader's wake-up timer covers
 *     this case instead (ring.c).
 */
#include "stapwatch.h"
#include "core/ring.h"

/* Of a record whose arguments take `size` bytes at most. */
static u64 event_bytes(u32 size)
{
	return sizeof(struct sw_event) + (((u64)size + 7) & ~7ULL);
}

/*
 * Looks for room anew, and waits for it where the handler may; the record is lost if it has none.
 * A function of its own, and called last, so that a record that has room saves no registers for it.
 */
static noinline u8 *event_begin_when_full(struct sw_context *c, u32 kind, u32 site, u32 size)
{
	struct sw_ring *ring = c->ring;
	u64 need = event_bytes(size);

	do {
		ring->tail_seen = sw_load_acquire(&ring->tail);
		if (ring->head + need - ring->tail_seen <= ring->size)
			return sw_event_begin(c, kind, site, size);
	} while (sw_ring_wait(c, need));
	c->counts->events_lost++;
	return NULL;
}

u8 *sw_event_begin(struct sw_context *c, u32 kind, u32 site, u32 size)
{
	struct sw_ring *ring = c->ring;
	u64 head = ring->head, need = event_bytes(size);
	struct sw_event *record;

	if (unlikely(head + need - ring->tail_seen > ring->size))
		return event_begin_when_full(c, kind, site, size);
	/* Before the record gets its time: see ring_take_snapshot(). */
	WRITE_ONCE(c->record_in_progress, 1);
	c->ring_end = head + need;
	record = (struct sw_event *)(ring->data + (head & (ring->size - 1)));
	record->kind = (u16)kind;
	record->cpu = (u16)sw_cpu();
	record->site = site;
	record->probe = c->probe;
	record->time = sw_clock_monotonic();
	return (u8 *)(record + 1);
}

void sw_event_commit(struct sw_context *c, u8 *end)
{
	struct sw_ring *ring = c->ring;
	u8 *start = ring->data + (ring->head & (ring->size - 1));
	u64 size = (u64)(end - start);

	((struct sw_event *)start)->size = (u32)size;
	c->counts->events++;
	sw_store_release(&ring->head, ring->head + size);
	WRITE_ONCE(c->record_in_progress, 0);
	if (unlikely(READ_ONCE(sw_reader_asleep)))
		sw_reader_kick();
}

u8 *sw_event_long_string(struct sw_context *c, u8 *p, const char *s, u32 size)
{
	u32 n = sw_measure(c, s);

	if (n < SW_CHUNK)
		sw_charge_late(c, sw_byte_actions(n));
	else if (!sw_charge(c, sw_byte_actions(n)))
		n = 0;
	return sw_event_bytes(p, s, n < size - 1 ? n : size - 1);
}

void sw_event_bare(struct sw_context *c, u32 kind, u32 site)
{
	u8 *p = sw_event_begin(c, kind, site, 0);

	if (p)
		sw_event_commit(c, p);
}

void sw_event_text(struct sw_context *c, u32 kind, u32 site, const char *text)
{
	u32 room = sw_length(text) + 1;
	u8 *p = sw_event_begin(c, kind, site, sw_string_room(room));

	if (p)
		sw_event_commit(c, sw_event_string(p, text, room));
}

void sw_error_called(struct sw_context *c, u32 first, u32 count, u32 here)
{
	u32 n = c->error_site - first;

	if (n < count)
		c->error_site = here + n;
}
