/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event.h - what handlers print: binary records in this CPU's ring; nothing is formatted in the
 *kernel.
 *
 *	u8 *p = sw_event_begin(c, SW_EVENT_PRINT, 3, 8 + sw_string_room(64));
 *	if (p) {
 *		p = sw_event_long(p, pid);
 *		p = sw_event_string(p, name, 64);
 *		sw_event_commit(c, p);
 *	}
 *
 * A ring is mapped twice in a row, so a record is always contiguous. A record that finds the ring
 *full is lost and counted in the lane; what was written first is what a reader gets.
 */
#ifndef STAPWATCH_EVENT_H
#define STAPWATCH_EVENT_H

/* Room for a record with at most `size` bytes of arguments, its header written; NULL: lost, and
 * counted. */
u8 *sw_event_begin(struct sw_context *c, u32 kind, u32 site, u32 size);
/* Publishes the record that ends at `end` and wakes the reader if it sleeps. */
void sw_event_commit(struct sw_context *c, u8 *end);

#define SW_NO_SITE 0xffffffffU

/* A record without arguments, or with one text. */
void sw_event_bare(struct sw_context *c, u32 kind, u32 site);
void sw_event_text(struct sw_context *c, u32 kind, u32 site, const char *text);

/* Bytes that a string of at most `size` bytes (with its NUL) takes in a record. */
#define sw_string_room(size) (8 + (((size) + 7) & ~7u))

static __always_inline u8 *sw_event_long(u8 *p, s64 v)
{
	*(s64 *)p = v;
	return p + 8;
}

/* `size`: of the buffer that `s` is in, at most. */
static __always_inline u8 *sw_event_string(u8 *p, const char *s, u32 size)
{
	u64 n = 0;

	while (n < size - 1 && s[n]) {
		p[8 + n] = (u8)s[n];
		n++;
	}
	*(u64 *)p = n;
	return p + 8 + ((n + 7) & ~7ULL);
}

/* `n` bytes, whatever they are. */
static __always_inline u8 *sw_event_bytes(u8 *p, const char *bytes, u32 n)
{
	u32 i;

	*(u64 *)p = n;
	for (i = 0; i < n; i++)
		p[8 + i] = (u8)bytes[i];
	return p + 8 + ((n + 7) & ~7u);
}

#endif
