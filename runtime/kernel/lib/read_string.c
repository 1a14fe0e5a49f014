// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Integers and strings from addresses that may be bad; no kernel headers.
 *
 * A string is read in chunks that end at multiples of READ_CHUNK. So no page is touched
 * that the string does not reach: it could be unmapped.
 */
#include "stapwatch.h"
#include "lib/fault_safe.h"

#define READ_CHUNK 64
/* Actions for a chunk that is read, and for one that is quoted as well. */
#define READ_ACTIONS 5
#define READ_QUOTED  36

typedef int read_fetch_fn(void *to, u64 address, u32 size);

void sw_fail_at(struct sw_context *c, const char *text, u64 address)
{
	char *to = c->error_text;
	s32 shift = 60;

	if (c->error)
		return;
	while (*text)
		*to++ = *text++;
	while (shift && !(address >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[address >> shift & 15];
	*to = 0;
	c->error = c->error_text;
}

/* Little-endian: a shorter value fills the low bytes of a zero. */
u64 sw_kernel_read(struct sw_context *c, u64 address, u32 size)
{
	u64 value = 0;

	if (likely(!sw_fetch_kernel(&value, address, size)))
		return value;
	sw_fail_at(c, "kernel read fault at 0x", address);
	return 0;
}

u64 sw_user_read(struct sw_context *c, u64 address, u32 size)
{
	u64 value = 0;

	if (likely(!sw_fetch_user(&value, address, size)))
		return value;
	sw_fail_at(c, "user read fault at 0x", address);
	return 0;
}

void sw_kernel_write(struct sw_context *c, u64 address, s64 value, u32 size)
{
	if (unlikely(sw_store_kernel(address, (u64)value, size)))
		sw_fail_at(c, "kernel write fault at 0x", address);
}

void sw_user_write(struct sw_context *c, u64 address, s64 value, u32 size)
{
	if (unlikely(sw_store_user(address, (u64)value, size)))
		sw_fail_at(c, "user write fault at 0x", address);
}

/*
 * Reads up to and including a NUL, at most `size` bytes. Returns the number of bytes
 * before the NUL, `size` if there is none, -1 on a fault. Ends early, without a NUL, if no
 * action is left.
 */
static s64 read_until_nul(read_fetch_fn *get, struct sw_context *c, char *to, u32 size, u64 address)
{
	u32 done = 0, i;

	while (done < size) {
		if (!sw_charge(c, READ_ACTIONS))
			return done;
		u32 n = READ_CHUNK - (u32)((address + done) % READ_CHUNK);

		if (n > size - done)
			n = size - done;
		if (get(to + done, address + done, n))
			return -1;
		for (i = 0; i < n; i++)
			if (!to[done + i])
				return done + i;
		done += n;
	}
	return size;
}

static bool read_string(read_fetch_fn *get, struct sw_context *c, char *to, u32 size, u64 address)
{
	s64 n = read_until_nul(get, c, to, size, address);

	if (n < 0) {
		to[0] = 0;
		return false;
	}
	to[n < size ? n : size - 1] = 0;
	if (n == size) {
		c->counts->strings_cut++;
	}
	return true;
}

/*
 * Reads at most `length` bytes. A string that is longer does not count as cut: it is as
 * long as the script has asked for.
 */
static bool read_string_n(read_fetch_fn *get, struct sw_context *c, char *to, u32 size, u64 address,
			  s64 length)
{
	s64 n;

	if (length >= size)
		return read_string(get, c, to, size, address);
	if (length < 0)
		length = 0;
	n = read_until_nul(get, c, to, (u32)length, address);
	to[n < 0 ? 0 : n] = 0;
	return n >= 0;
}

bool sw_kernel_string(struct sw_context *c, char *to, u32 size, u64 address)
{
	if (likely(read_string(sw_fetch_kernel, c, to, size, address)))
		return true;
	sw_fail_at(c, "kernel string copy fault at 0x", address);
	return false;
}

bool sw_user_string(struct sw_context *c, char *to, u32 size, u64 address)
{
	if (likely(read_string(sw_fetch_user, c, to, size, address)))
		return true;
	sw_fail_at(c, "user string copy fault at 0x", address);
	return false;
}

bool sw_kernel_string_n(struct sw_context *c, char *to, u32 size, u64 address, s64 length)
{
	if (likely(read_string_n(sw_fetch_kernel, c, to, size, address, length)))
		return true;
	sw_fail_at(c, "kernel string copy fault at 0x", address);
	return false;
}

bool sw_user_string_n(struct sw_context *c, char *to, u32 size, u64 address, s64 length)
{
	if (likely(read_string_n(sw_fetch_user, c, to, size, address, length)))
		return true;
	sw_fail_at(c, "user string copy fault at 0x", address);
	return false;
}

u32 sw_kernel_bytes(struct sw_context *c, char *to, u64 address, s64 precision)
{
	u32 size = (u32)sw_memory_length(precision);

	if (!sw_charge(c, 1 + sw_byte_actions(size)))
		return 0;
	if (likely(!sw_fetch_kernel(to, address, size)))
		return size;
	sw_fail_at(c, "kernel read fault at 0x", address);
	return 0;
}

u32 sw_user_bytes(struct sw_context *c, char *to, u64 address, s64 precision)
{
	u32 size = (u32)sw_memory_length(precision);

	if (!sw_charge(c, 1 + sw_byte_actions(size)))
		return 0;
	if (likely(!sw_fetch_user(to, address, size)))
		return size;
	sw_fail_at(c, "user read fault at 0x", address);
	return 0;
}

/* A quoted string that is being written; `"` and a NUL fit at `end`, `"...` and a NUL at `cut`. */
struct read_quote {
	char *at, *cut, *end;
};

/*
 * Writes one byte as in C source. An octal escape has all three digits if `next`, the
 * byte after it, is a digit. Returns false if there is no space.
 */
static bool read_quote_byte(struct read_quote *q, u8 byte, u8 next)
{
	char text[4] = { '\\' };
	u32 n = 0, i;

	if (byte == '"' || byte == '\\') {
		text[1] = (char)byte;
		n = 2;
	} else if (byte >= ' ' && byte < 0x7f) {
		text[0] = (char)byte;
		n = 1;
	} else if (byte >= '\t' && byte <= '\r') {
		text[1] = "tnvfr"[byte - '\t'];
		n = 2;
	} else {
		bool full = next >= '0' && next <= '9';

		n = 1;
		if (full || byte >= 0100)
			text[n++] = (char)('0' + (byte >> 6));
		if (full || byte >= 010)
			text[n++] = (char)('0' + (byte >> 3 & 7));
		text[n++] = (char)('0' + (byte & 7));
	}
	if (n > (u64)(q->end - q->at))
		return false;
	for (i = 0; i < n; i++)
		*q->at++ = text[i];
	if (q->end - q->at >= 3)
		q->cut = q->at;
	return true;
}

static void read_put_address(struct sw_context *c, char *to, u32 size, u64 address)
{
	const s64 longs[] = { (s64)address };

	if (address)
		sw_format(c, to, size, "0x%x", longs, NULL);
	else
		sw_copy(c, to, size, "NULL");
}

/*
 * Quotes up to `length` bytes, or up to a NUL if `ends`. Reads a chunk at a time, and
 * holds each byte back until the next one is known, for the escapes.
 */
static void read_quoted(struct sw_context *c, char *to, u32 size, u64 address, u64 length,
			bool ends)
{
	u8 chunk[READ_CHUNK];
	struct read_quote q = { to + 1, to + 1, to + size - 2 };
	u64 done = 0;
	bool fits = true, ended = false, first = true;
	u8 held = 0;

	if (size < 8) {
		to[0] = 0;
		c->counts->strings_cut++;
		return;
	}
	to[0] = '"';
	while (fits && !ended && done < length) {
		u32 n = READ_CHUNK - (u32)((address + done) % READ_CHUNK), i;

		if (n > length - done)
			n = (u32)(length - done);
		if (!sw_charge(c, READ_QUOTED))
			break;
		if (sw_fetch_user(chunk, address + done, n)) {
			read_put_address(c, to, size, address);
			return;
		}
		for (i = 0; i < n && fits && !ended; i++) {
			ended = ends && !chunk[i];
			if (!first)
				fits = read_quote_byte(&q, held, ended ? 0 : chunk[i]);
			first = false;
			held = chunk[i];
		}
		done += n;
	}
	if (fits && !first && !ended)
		fits = read_quote_byte(&q, held, 0);
	if (!fits)
		q.at = q.cut;
	*q.at++ = '"';
	if (!fits) {
		c->counts->strings_cut++;
		*q.at++ = '.';
		*q.at++ = '.';
		*q.at++ = '.';
	}
	*q.at = 0;
}

void sw_user_string_quoted(struct sw_context *c, char *to, u32 size, u64 address)
{
	read_quoted(c, to, size, address, ~0ULL, true);
}

void sw_user_buffer_quoted(struct sw_context *c, char *to, u32 size, u64 address, s64 length)
{
	read_quoted(c, to, size, address, length < 0 ? 0 : (u64)length, false);
}
