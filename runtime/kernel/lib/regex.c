// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts of a match; no kernel headers. */
#include "stapwatch.h"

bool sw_matched_keep(struct sw_context *c, char *text, u32 size, const char *s, const s32 *tags,
		     u32 groups)
{
	c->match.groups = 0;
	if (tags[0] < 0)
		return false;
	sw_copy(c, text, size, s);
	c->match.text = text;
	c->match.tags = tags;
	c->match.groups = groups;
	return true;
}

void sw_matched(struct sw_context *c, char *to, u32 size, s64 n)
{
	u32 length = 0;
	s32 from, end, kept;

	to[0] = 0;
	if (!c->match.groups) {
		c->error = "no regular expression has matched";
		return;
	}
	if (n < 0 || n >= c->match.groups) {
		c->error = "the regular expression has no such group";
		return;
	}
	from = c->match.tags[2 * n];
	end = c->match.tags[2 * n + 1];
	/* The copy is shorter than the string that was searched if it did not fit. */
	kept = (s32)sw_measure(c, c->match.text);
	if (end > kept)
		end = kept;
	if (from < 0 || end < from)
		return;
	for (; from < end && length < size - 1; length++)
		if (length % SW_CHUNK || sw_charge(c, 2 * SW_CHUNK_ACTIONS))
			to[length] = c->match.text[from++];
		else
			break;
	to[length] = 0;
}

s64 sw_groups(struct sw_context *c)
{
	if (!c->match.groups)
		c->error = "no regular expression has matched";
	return c->match.groups;
}
