/* SPDX-License-Identifier: GPL-2.0-or-later */
/* events.h - the event ring as its producer sees it; no kernel headers. */
#ifndef STAPWATCH_EVENTS_H
#define STAPWATCH_EVENTS_H

#define SW_NO_PROBE 0xffffffffU

/*
 * One CPU's ring: positions only grow, `data + (position & (size - 1))` is where a record starts,
 * and the pages follow themselves once more so that every record is contiguous. The producer's line
 * and the consumer's line are apart.
 */
struct sw_ring {
	u8 *data;
	u64 size;
	u64 head;      /* published by the producer */
	u64 tail_seen; /* the producer's copy of `tail` */

	u64 tail __aligned(64); /* published by the consumer */
	u64 limit;		/* the consumer's copy of `head` */
	void *pages;
};

/* Not zero: a reader sleeps, the next record wakes it. */
extern u32 sw_reader_asleep;
/* Wakes readers, from any context. */
void sw_reader_kick(void);

#endif
