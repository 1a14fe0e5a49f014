// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * event.c - writing event records; no kernel headers, so that it also runs in user space.
 *
 * Only the handler that owns the context writes, so the common path has no atomic operation. The
 * store of `head` may become visible after the load of `sw_reader_asleep`; who goes to sleep covers
 * that (ring.c).
 */
#include "stapwatch.h"
#include "core/ring.h"

u8 *sw_event_begin(struct sw_context *c, u32 kind, u32 site, u32 size)
{
	struct sw_ring *ring = c->ring;
	u64 head = ring->head, need = sizeof(struct sw_event) + (((u64)size + 7) & ~7ULL);
	struct sw_event *record;

	if (unlikely(head + need - ring->tail_seen > ring->size)) {
		ring->tail_seen = sw_load_acquire(&ring->tail);
		if (head + need - ring->tail_seen > ring->size) {
			c->counts->events_lost++;
			return NULL;
		}
	}
	WRITE_ONCE(c->reserving, 1);
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
	WRITE_ONCE(c->reserving, 0);
	if (unlikely(READ_ONCE(sw_reader_asleep)))
		sw_reader_kick();
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
