/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event ring as its producer sees it; no kernel headers.
 *
 *   position   tail            next       head
 *              | record | record | record |      free space       | tail + size
 *
 * Positions only grow; a record starts at `data + (position & (size - 1))`. The
 * pages are mapped twice in a row, so that every record is contiguous:
 *
 *   data: [ page 0 | page 1 | ... ][ page 0 | page 1 | ... ]
 *
 * The producer's words and the consumer's words are on different cache lines.
 */
#ifndef STAPWATCH_RING_H
#define STAPWATCH_RING_H

/* As sw_event.probe: no handler has sent the event. */
#define SW_NO_PROBE 0xffffffffU

/**
 * struct sw_ring - one CPU's event ring
 * @data: the records, mapped twice
 * @size: bytes, a power of two
 * @head: end of the last record; stored by the producer, release
 * @tail_seen: the producer's last copy of @tail
 * @tail: start of the oldest record; stored by the consumer, release
 * @next: start of the oldest record that is not read yet
 * @head_seen: the consumer's snapshot of @head
 * @pages: the pages of @data
 */
struct sw_ring {
	u8 *data;
	u64 size;
	u64 head;
	u64 tail_seen;

	u64 tail __aligned(64);
	u64 next;
	u64 head_seen;
	void *pages;
};

/* Not zero if a reader sleeps: the next record wakes it. */
extern u32 sw_reader_asleep;

/*
 * Waits until `need` bytes have room, in handlers that may wait; other records may have been
 * added meanwhile. False if there is no use in waiting (longer).
 */
bool sw_ring_wait(struct sw_context *c, u64 need);

/* Wakes readers. Any context, NMI included. */
void sw_reader_kick(void);

#endif
