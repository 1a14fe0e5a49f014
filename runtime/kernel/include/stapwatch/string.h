/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * string.h - script strings: NUL-terminated, in buffers of a size the compiler knows.
 *
 * What does not fit is cut, and the lane's `strings_cut` counts it.
 */
#ifndef STAPWATCH_STRING_H
#define STAPWATCH_STRING_H

static __always_inline u32 sw_length(const char *s)
{
	u32 n = 0;

	while (s[n])
		n++;
	return n;
}

/* Copies `from`; `to` and `from` may be the same buffer. */
void sw_copy(struct sw_context *c, char *to, u32 size, const char *from);
/* Copies `from` and fills the rest with NULs, as keys want it (they are hashed and compared by
 * words). */
void sw_copy_key(struct sw_context *c, char *to, u32 size, const char *from);
/* `a` and then `b`; either may be `to`. */
void sw_concat(struct sw_context *c, char *to, u32 size, const char *a, const char *b);
/* <0, 0, >0, as unsigned bytes. */
s32 sw_compare(const char *a, const char *b);

/*
 * sprintf(): the directives of the script language (%d %i %u %x %X %o %c %s %p %b %m %M %%, flags,
 * width, precision, `*`). `longs` and `strings` hold the arguments in order of their kind. Memory
 * that cannot be read is an error in the context.
 */
void sw_format(struct sw_context *c, char *to, u32 size, const char *format, const s64 *longs,
	       const char *const *strings);

#endif
