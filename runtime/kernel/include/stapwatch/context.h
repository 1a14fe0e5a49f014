/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering and leaving a handler.
 *
 *   [ sw_context | meters | frames ... ][ lane: probe counts, lane counts, rows ... ]
 *   ^ this CPU's block                  ^ page-aligned, mapped by readers
 *
 * Handler context. A handler runs with preemption off and owns its CPU's block
 * from sw_enter() to sw_leave(). It may have interrupted anything: a process, an
 * interrupt, an NMI, code that holds any lock. So a handler, and everything that
 * it calls, never sleeps, never takes a lock of the kernel and never faults.
 *
 * Why nothing in a block needs an atomic operation: preemption is off, so the
 * handler stays on its CPU, and the only code that could use the block at the
 * same time is a hit that interrupts the handler on this CPU. Such a hit finds
 * @busy set and is skipped and counted. An interrupt that hits between the test
 * of the word and the store to @busy runs to its end before the interrupted
 * handler goes on, and leaves @busy zero again. Other CPUs only read a block, word by
 * word; they write nothing in it but @disabled.
 *
 * @busy is 1 in most handlers, and sw_leave() takes that one away. In a handler whose hit is
 * timed it is 2: then sw_leave() finds 1 left, and sw_meter_leave() takes the time before it
 * stores the zero. So the word is not zero before all of the handler's work is done.
 */
#ifndef STAPWATCH_CONTEXT_H
#define STAPWATCH_CONTEXT_H

/**
 * struct sw_match - the last match of a regular expression, for matched() and ngroups()
 * @text: a copy of the string that was searched
 * @tags: for each group its start and end in @text; -1 if the group took no part
 * @groups: number of groups, the whole match included; 0 if nothing matched
 */
struct sw_match {
	const char *text;
	const s32 *tags;
	u32 groups;
};

/**
 * struct sw_context - the private part of one CPU's block, with the handler's state
 * @busy: reentrancy guard: a handler runs on this CPU; 2: its hit is timed
 * @disabled: handlers are not to run: the module has not started, or has stopped
 * @blocked: both of the above as one word: a handler enters only if it is zero
 * @probe: index of the running handler's probe
 * @actions: actions left before the handler has to ask for more: see charge.h
 * @error: text of the error that ends the handler; NULL if there is none
 * @error_site: index into the manifest's errors
 * @depth: number of active script functions
 * @looks: how often the handler has asked for more actions
 * @record_in_progress: an event record is being written to @ring
 * @regs: registers at the hit; NULL if the probe has none
 * @address: address of the probed instruction
 * @seed: state of randint()
 * @counts: this lane's counts
 * @ring: this CPU's event ring
 * @ring_end: position after the space of the record in progress
 * @stack_end: the script's functions take no stack below this address, in handlers that check it
 * @sample: the hit that is being timed, while @busy is 2
 * @window: what this CPU spent lately
 * @next: embedded C has left a function in favour of its next overload
 * @looked: time of the last look at the clock, if there was one; ns
 * @took: time that the handler has taken until then; ns
 * @match: last match of a regular expression, in scripts that ask for it
 * @error_text: the script's own error, or a message with a value in it
 */
struct sw_context {
	union {
		struct {
			u32 busy;
			u32 disabled;
		};
		u64 blocked;
	};
	u32 probe;
	s32 actions;
	const char *error;
	u32 error_site;
	u32 depth;
	u32 looks;
	u32 record_in_progress;
	struct sw_regs *regs;
	u64 address;
	u64 seed;
	struct sw_lane_counts *counts;
	struct sw_ring *ring;
	u64 ring_end;
	unsigned long stack_end;
	struct sw_sample sample;
	struct sw_window window;
	bool next;
	u64 looked;
	u64 took;
	struct sw_match match;
	char error_text[512];
};

/**
 * sw_probed_function() - name of the function whose entry was hit
 * @c: the handler's context, of a probe that hooks several functions together
 * @to: where the name goes; the rest is filled with NULs, as keys want it
 * @size: bytes of @to
 *
 * Context: Handler.
 */
void sw_probed_function(struct sw_context *c, char *to, u32 size);

/* The slow paths of the functions below, in the runtime object. */
void sw_rearm(void);
void sw_hit_skipped(struct sw_context *c, struct sw_probe_counts *counts);

/**
 * sw_failed() - ends a handler that has an error
 * @c: the handler's context, with its error set
 * @counts: the probe's counts in this lane
 *
 * Counts the error and sends it as an event, unless the error is sw_ended. An
 * error beyond the script's budget makes the module exit. The handler still has
 * to call sw_leave().
 *
 * Context: Handler.
 */
void sw_failed(struct sw_context *c, struct sw_probe_counts *counts);

/* The meters of this CPU, one for each probe. They follow the context in the block. */
static __always_inline struct sw_meter *sw_meters(struct sw_context *c)
{
	return (struct sw_meter *)(c + 1);
}

/* Begin and end the timing of a hit; they are called by sw_call_quietly(). */
void sw_meter_enter(void);
void sw_meter_leave(void);

/**
 * sw_meter_heavy() - notes that a hit has paid for another piece of work
 * @c: the handler's context, prepared
 *
 * For the places where work is charged, every 256 actions or so. From the first call on, the
 * hit is timed, whatever its turn is, and counts for itself alone: a probe that is timed rarely
 * because it was cheap cannot hide an expensive hit.
 *
 * Context: Handler.
 */
void sw_meter_heavy(struct sw_context *c);

/* As sw_context.error: the handler ends here, and that is not an error. */
extern const char sw_ended[];

/**
 * sw_enter_pinned() - enters a handler with preemption off, without counting a hit
 * @counts_offset: offset of the probes' counts in the block
 * @probe: index of the probe
 *
 * The compiler barrier keeps the handler's own accesses after the store to
 * @busy; it pairs with the one in sw_leave_pinned(). A compiler barrier is enough, since
 * whoever tests @busy runs on the same CPU. The exception is sw_handlers_drain(),
 * which first waits for a grace period.
 *
 * Context: Any, NMI included, with preemption off.
 * Return: this CPU's block; NULL if the hit was skipped, and counted if the
 * module runs.
 */
static __always_inline void *sw_enter_pinned(u32 counts_offset, u32 probe)
{
	struct sw_context *c = sw_this_cpu_area();

	if (unlikely(c->blocked)) {
		sw_hit_skipped(c, (struct sw_probe_counts *)((char *)c + counts_offset) + probe);
		return NULL;
	}
	c->busy = 1;
	barrier();
	if (unlikely(sw_count_down(&sw_meters(c)[probe].countdown))) {
		c->sample.probe = probe;
		sw_call_quietly(sw_meter_enter);
	}
	if (!c)
		__builtin_unreachable(); /* the caller need not test it again */
	return c;
}

/**
 * sw_enter_quietly() - enters a handler without counting a hit
 * @counts_offset: offset of the probes' counts in the block
 * @probe: index of the probe
 *
 * For the work that a return probe does at the function's entry: the hit is
 * counted when the function returns.
 *
 * Context: Any, NMI included. Returns with preemption off unless it returns NULL.
 * Return: as sw_enter_pinned().
 */
static __always_inline void *sw_enter_quietly(u32 counts_offset, u32 probe)
{
	struct sw_context *c;

	sw_preempt_disable();
	c = sw_enter_pinned(counts_offset, probe);
	if (unlikely(!c))
		sw_preempt_enable();
	return c;
}

/**
 * sw_enter() - enters a handler and counts the hit
 * @counts_offset: offset of the probes' counts in the block
 * @probe: index of the probe
 *
 * Pairs with sw_leave(). No locked operation: see the top of this file.
 *
 * Context: Any, NMI included. Returns with preemption off unless it returns NULL.
 * Return: this CPU's block; NULL if the hit was skipped, and counted if the
 * module runs.
 */
static __always_inline void *sw_enter(u32 counts_offset, u32 probe)
{
	struct sw_context *c = sw_enter_quietly(counts_offset, probe);

	if (likely(c))
		((struct sw_probe_counts *)((char *)c + counts_offset))[probe].hits++;
	return c;
}

/**
 * sw_prepare() - fresh state for a handler that can fail, calls functions, loops or is charged
 * @c: the handler's context
 * @probe: index of the probe
 * @actions: actions until the first look at what is left; the rest is in struct sw_probe
 * @regs: registers at the hit; NULL if the probe has none
 *
 * Other handlers omit the call, which saves six stores.
 *
 * Context: Handler.
 */
static __always_inline void sw_prepare(struct sw_context *c, u32 probe, s32 actions,
				       struct sw_regs *regs)
{
	c->probe = probe;
	c->actions = actions;
	c->error = NULL;
	c->depth = 0;
	c->looks = 0;
	c->regs = regs;
}

/**
 * sw_error() - notes an error; the handler is to go to its end
 * @c: the handler's context
 * @site: index into the manifest's errors: the position in the script
 * @text: message, which must stay valid until the handler has ended
 *
 * Context: Handler.
 */
static __always_inline void sw_error(struct sw_context *c, u32 site, const char *text)
{
	c->error = text;
	c->error_site = site;
}

/**
 * sw_error_called() - an error leaves a function: its site becomes the same one with its caller
 * @c: the handler's context
 * @first: the first of the function's sites; those of a function that recurses may be others
 * @count: how many there are
 * @here: the number that the first has as an error of this call
 *
 * Context: Handler, on its way to its end.
 */
void sw_error_called(struct sw_context *c, u32 first, u32 count, u32 here);

/**
 * sw_stack_end() - how far the script's functions may go down on this stack
 *
 * Of a process's stack they leave 4 KB, for what they call and for what may interrupt them. Other
 * stacks (of interrupts and exceptions, 8 KB at least) have ends that modules cannot look up: there
 * they take 4 KB.
 *
 * Context: Handler.
 * Return: the lowest address that the stack pointer may have in a function of the script
 */
unsigned long sw_stack_end(void);

/**
 * sw_stack_is_short() - whether a function of the script has too little stack to run
 * @c: the handler's context, with its stack_end set
 *
 * Context: Handler.
 */
static __always_inline bool sw_stack_is_short(const struct sw_context *c)
{
	return sw_own_sp() < c->stack_end;
}

/**
 * sw_arm() - notes whether a probe's condition holds now
 * @wanted: the probe's element of sw_script.wanted
 * @now: value of the condition
 *
 * For the end of a handler that writes to globals of a condition. If the value
 * has changed, a worker attaches or detaches the probe's hook soon. The caller
 * still holds the locks of these globals, so that two handlers on two CPUs cannot
 * leave an old value.
 *
 * Context: Handler, with the locks of the condition's globals held.
 */
static __always_inline void sw_arm(u8 *wanted, bool now)
{
	if (unlikely(*wanted != now)) {
		*wanted = now;
		sw_rearm();
	}
}

/**
 * sw_leave_pinned() - leaves a handler that sw_enter_pinned() has entered
 * @c: the handler's context
 *
 * The compiler barrier keeps the handler's accesses before the change of @busy.
 *
 * Context: Handler.
 */
static __always_inline void sw_leave_pinned(struct sw_context *c)
{
	barrier();
	if (unlikely(!sw_count_down(&c->busy)))
		sw_call_quietly(sw_meter_leave);
}

/**
 * sw_leave() - leaves a handler that sw_enter() or sw_enter_quietly() has entered
 * @c: the handler's context
 *
 * Context: Handler. Turns preemption on again, and may reschedule.
 */
static __always_inline void sw_leave(struct sw_context *c)
{
	sw_leave_pinned(c);
	sw_preempt_enable();
}

/**
 * sw_enter_tracepoint() - as sw_enter(), in a handler that a tracepoint calls
 * @counts_offset: offset of the probes' counts in the block
 * @probe: index of the probe
 *
 * Pairs with sw_leave_tracepoint(). Where tracepoints turn preemption off for their handlers,
 * it is not done again.
 *
 * Context: Any, NMI included.
 * Return: as sw_enter().
 */
static __always_inline void *sw_enter_tracepoint(u32 counts_offset, u32 probe)
{
#ifdef SW_TRACEPOINT_PINNED
	struct sw_context *c = sw_enter_pinned(counts_offset, probe);

	if (likely(c))
		((struct sw_probe_counts *)((char *)c + counts_offset))[probe].hits++;
	return c;
#else
	return sw_enter(counts_offset, probe);
#endif
}

/**
 * sw_leave_tracepoint() - leaves a handler that sw_enter_tracepoint() has entered
 * @c: the handler's context
 *
 * Context: Handler. May reschedule where sw_leave() may.
 */
static __always_inline void sw_leave_tracepoint(struct sw_context *c)
{
#ifdef SW_TRACEPOINT_PINNED
	sw_leave_pinned(c);
#else
	sw_leave(c);
#endif
}

#endif
