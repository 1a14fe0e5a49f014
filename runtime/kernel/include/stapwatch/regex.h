/* SPDX-License-Identifier: GPL-2.0-or-later */
/* regex.h - what is kept of a match, for scripts that ask for its parts. */
#ifndef STAPWATCH_REGEX_H
#define STAPWATCH_REGEX_H

/*
 * The end of a generated matcher: true if it has set `tags` (else tags[0] is negative), which are
 * then kept with a copy of the string in `text`.
 */
bool sw_matched_keep(struct sw_context *c, char *text, u32 size, const char *s, const s32 *tags,
		     u32 groups);

/* Group `n` of the last match, "" where it took no part; an error where there is no such group. */
void sw_matched(struct sw_context *c, char *to, u32 size, s64 n);
/* The groups of the last match, the whole of it included; an error where there was none. */
s64 sw_groups(struct sw_context *c);

#endif
