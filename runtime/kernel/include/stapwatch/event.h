/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event records: what handlers print goes into this CPU's ring as binary
 * arguments. Nothing is formatted in the kernel.
 *
 *	u8 *p = sw_event_begin(c, SW_EVENT_PRINT, 3, 8 + sw_string_room(64));
 *
 *	if (p) {
 *		p = sw_event_long(p, pid);
 *		p = sw_event_string(p, name, 64);
 *		sw_event_commit(c, p);
 *	}
 *
 *	record: [ sw_event | u64 number | u64 length, bytes, padding to 8 | ... ]
 *
 * A ring is mapped twice in a row, so a record is always contiguous. A record
 * that finds the ring full is lost and counted in the lane: a reader gets the
 * oldest records.
 */
#ifndef STAPWATCH_EVENT_H
#define STAPWATCH_EVENT_H

/**
 * sw_event_begin() - reserves space for a record and writes its header
 * @c: the handler's context
 * @kind: enum sw_event_kind
 * @site: index into the manifest's table for this kind, or SW_NO_SITE
 * @size: bytes that the arguments take at most
 *
 * At most one record is in progress on a CPU. It ends with sw_event_commit(), or
 * is dropped by sw_failed().
 *
 * Context: Handler.
 * Return: where the arguments go; NULL if the ring is full, and the record was
 * counted as lost.
 */
u8 *sw_event_begin(struct sw_context *c, u32 kind, u32 site, u32 size);

/**
 * sw_event_commit() - publishes the record in progress
 * @c: the handler's context
 * @end: end of the last argument, a multiple of 8 bytes from the record's start
 *
 * Wakes the reader if it sleeps.
 *
 * Context: Handler.
 */
void sw_event_commit(struct sw_context *c, u8 *end);

/* No index: the event has no position in the script. */
#define SW_NO_SITE 0xffffffffU

/**
 * sw_event_bare() - sends a record without arguments
 * @c: the handler's context
 * @kind: enum sw_event_kind
 * @site: index into the manifest's table for this kind, or SW_NO_SITE
 *
 * Context: Handler.
 */
void sw_event_bare(struct sw_context *c, u32 kind, u32 site);

/**
 * sw_event_text() - sends a record with one string
 * @c: the handler's context
 * @kind: enum sw_event_kind
 * @site: index into the manifest's table for this kind, or SW_NO_SITE
 * @text: the string
 *
 * Context: Handler.
 */
void sw_event_text(struct sw_context *c, u32 kind, u32 site, const char *text);

/* Bytes that a string of at most `size` bytes (with its NUL) takes in a record. */
#define sw_string_room(size) (8 + (((size) + 7) & ~7u))

/**
 * sw_event_long() - appends a number
 * @p: where the argument goes
 * @v: the number
 *
 * Context: Handler.
 * Return: where the next argument goes.
 */
static __always_inline u8 *sw_event_long(u8 *p, s64 v)
{
	*(s64 *)p = v;
	return p + 8;
}

/**
 * sw_event_string() - appends a string
 * @p: where the argument goes
 * @s: the string
 * @size: bytes of the buffer that @s is in, or more than the string has
 *
 * Context: Handler.
 * Return: where the next argument goes.
 */
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

/**
 * sw_event_long_string() - appends a string that may be longer than SW_STEPS
 * @c: the handler's context, which pays; without actions the string is cut
 * @p: where the argument goes
 * @s: the string
 * @size: as for sw_event_string()
 *
 * Context: Handler, after sw_prepare().
 * Return: where the next argument goes.
 */
u8 *sw_event_long_string(struct sw_context *c, u8 *p, const char *s, u32 size);

/**
 * sw_event_bytes() - appends bytes that may be NULs
 * @p: where the argument goes
 * @bytes: the bytes
 * @n: how many
 *
 * Context: Handler.
 * Return: where the next argument goes.
 */
static __always_inline u8 *sw_event_bytes(u8 *p, const char *bytes, u32 n)
{
	u32 i;

	*(u64 *)p = n;
	for (i = 0; i < n; i++)
		p[8 + i] = (u8)bytes[i];
	return p + 8 + ((n + 7) & ~7u);
}

#endif
