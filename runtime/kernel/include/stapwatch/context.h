/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * context.h - entering and leaving a handler.
 *
 *   [ sw_context | frames ... ][ lane: probe counts, lane counts, rows ... ]
 *   ^ this CPU's block           ^ page-aligned, mapped by readers
 *
 * A handler runs with preemption off and owns its CPU's block: `busy` makes every hit inside
 * another handler of the module a counted skip, so nothing in a block needs an atomic operation.
 * `closed` keeps handlers out before the module starts and after it ends.
 */
#ifndef STAPWATCH_CONTEXT_H
#define STAPWATCH_CONTEXT_H

/* What matched() and ngroups() tell of; `groups` 0: no match. */
struct sw_match {
	const char *text; /* a copy of the string */
	const s32
		*tags; /* of each group where it begins and ends in it; -1: not part of the match */
	u32 groups;    /* the whole match is one */
};

struct sw_context {
	union {
		struct {
			u32 busy;
			u32 closed;
		};
		u64 gate; /* handlers enter only when it is zero */
	};
	u32 probe;		       /* index of the running handler's probe */
	s32 actions;		       /* statements left before MAXACTION */
	const char *error;	       /* text of the error that ends the handler; NULL: none */
	u32 error_site;		       /* index into the manifest's errors */
	u32 depth;		       /* script functions under way */
	u32 frame;		       /* bytes of the frame stack in use */
	u32 reserving;		       /* an event record is being written */
	struct sw_regs *regs;	       /* NULL: the probe has none */
	u64 address;		       /* of the probed instruction */
	u64 seed;		       /* randint() */
	struct sw_lane_counts *counts; /* this lane's */
	struct sw_ring *ring;
	u64 ring_end;	       /* position after the record that is being written */
	bool next;	       /* embedded C has left a function for its next overload */
	struct sw_match match; /* of the last regular expression, where a script asks for it */
	char error_text[512];  /* the script's own, and messages with a value in them */
};

/* The name of the function whose entry was hit, of those that the running handler's probe hooks
 * together; zeros follow it. */
void sw_probed_function(struct sw_context *c, char *to, u32 size);

/* Slow ways out, in the runtime object. */
void sw_rearm(void);
void sw_refused(struct sw_context *c, struct sw_probe_counts *counts);
void sw_failed(struct sw_context *c, struct sw_probe_counts *counts);

extern const char sw_ended[]; /* as `error`: the handler ends, without one */

/*
 * This CPU's block, with the handler entered but no hit counted (what a return probe does at the
 * function's entry); NULL: the hit was skipped and counted.
 */
static __always_inline void *sw_enter_quietly(u32 counts_offset, u32 probe)
{
	struct sw_context *c;
	struct sw_probe_counts *counts;

	sw_preempt_disable();
	c = sw_this_cpu_area();
	counts = (struct sw_probe_counts *)((char *)c + counts_offset) + probe;
	if (unlikely(c->gate)) {
		sw_refused(c, counts);
		sw_preempt_enable();
		return NULL;
	}
	c->busy = 1;
	barrier();
	if (!c)
		__builtin_unreachable(); /* spares the caller its test */
	return c;
}

/* This CPU's block, with the handler entered; NULL: the hit was skipped and counted. Pairs with
 * sw_leave. */
static __always_inline void *sw_enter(u32 counts_offset, u32 probe)
{
	struct sw_context *c = sw_enter_quietly(counts_offset, probe);

	if (likely(c))
		((struct sw_probe_counts *)((char *)c + counts_offset))[probe].hits++;
	return c;
}

/* For handlers that can fail, call functions or loop: a fresh error state and `actions` statements.
 */
static __always_inline void sw_prepare(struct sw_context *c, u32 probe, s32 actions,
				       struct sw_regs *regs)
{
	c->probe = probe;
	c->actions = actions;
	c->error = NULL;
	c->depth = 0;
	c->frame = 0;
	c->regs = regs;
}

/* Ends the handler with an error; `site` tells its place in the script. */
static __always_inline void sw_error(struct sw_context *c, u32 site, const char *text)
{
	c->error = text;
	c->error_site = site;
}

/*
 * After a handler that writes to a condition's globals, their locks still held: a condition that
 * has changed makes the runtime place or remove the probe's hook, soon, from a process.
 */
static __always_inline void sw_arm(u8 *wanted, bool now)
{
	if (unlikely(*wanted != now)) {
		*wanted = now;
		sw_rearm();
	}
}

static __always_inline void sw_leave(struct sw_context *c)
{
	barrier();
	c->busy = 0;
	sw_preempt_enable();
}

#endif
