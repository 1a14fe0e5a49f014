/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the last match of a regular expression, in scripts that ask for them. */
#ifndef STAPWATCH_REGEX_H
#define STAPWATCH_REGEX_H

/**
 * sw_matched_keep() - stores the match at the end of a generated matcher
 * @c: the handler's context
 * @text: buffer for a copy of @s, which lives as long as the handler
 * @size: bytes of @text
 * @s: the string that was searched
 * @tags: start and end of each group in @s; tags[0] is negative if nothing matched
 * @groups: number of groups, the whole match included
 *
 * Context: Handler.
 * Return: true if the expression matched.
 */
bool sw_matched_keep(struct sw_context *c, char *text, u32 size, const char *s, const s32 *tags,
		     u32 groups);

/**
 * sw_matched() - text of a group of the last match
 * @c: the handler's context; gets an error if there is no such group, or no match
 * @to: gets the text, "" if the group took no part in the match
 * @size: bytes of @to
 * @n: number of the group; 0 is the whole match
 *
 * Context: Handler.
 */
void sw_matched(struct sw_context *c, char *to, u32 size, s64 n);

/**
 * sw_groups() - number of groups of the last match
 * @c: the handler's context; gets an error if there was no match
 *
 * Context: Handler.
 * Return: number of groups, the whole match included.
 */
s64 sw_groups(struct sw_context *c);

#endif
