/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paying for work: what bounds a hit.
 *
 * A hit has a number of actions (MAXACTION), and whatever it does is paid for before it
 * is done: an action buys at most SW_ACTION instructions. A statement costs one action,
 * or more if it is long. Generated code pays for loops and calls, with what each
 * iteration costs as the compiler knows it. Work that depends on data is paid for here:
 * by the functions that do it, in steps (bytes of strings, frames of a stack), or as a
 * whole before it begins (elements to sort, lanes to add up).
 *
 * A hit has its actions in instalments of SW_LOOK. sw_context.actions is what is left of
 * one; below zero, the handler asks for the next (sw_charge_more()), which is where time
 * is looked at, too. So a cheap hit reads no clock.
 *
 * A handler that has no action left gets an error, and whatever it does is left half
 * done: a string ends early, a loop stops. The caller tests the result or sw_context.error
 * before it uses that.
 */
#ifndef STAPWATCH_CHARGE_H
#define STAPWATCH_CHARGE_H

#define SW_ACTION 100 /* instructions */
#define SW_LOOK	  256 /* actions between two looks at the clock */
#define SW_CHUNK  64  /* bytes of a string that are paid for at once */
#define SW_STEPS  16  /* steps of other loops, likewise */

/* Actions for a chunk that is copied, compared or measured: 6 to 8 instructions a byte. */
#define SW_CHUNK_ACTIONS 7

/* Actions for any number of bytes; short strings are free. */
#define sw_byte_actions(bytes) ((u32)((bytes)*SW_CHUNK_ACTIONS / SW_CHUNK))

/*
 * The most that an action may take, ns. A hypervisor or an interrupt may stop a handler
 * for any time between two looks: no more than this counts for each action in between.
 */
#define SW_MOST_NS 20000

/**
 * sw_charge_more() - the next instalment of actions
 * @c: the handler's context, with less than 0 actions
 *
 * Context: Handler, after sw_prepare().
 * Return: false if the hit has none left, or has taken too long; it has an error then.
 */
bool sw_charge_more(struct sw_context *c);

/**
 * sw_actions_left() - how many actions a hit still has
 * @c: the handler's context
 *
 * Context: Handler, after sw_prepare().
 * Return: the number; below 0 if it has none.
 */
s64 sw_actions_left(const struct sw_context *c);

/**
 * sw_charge() - pays for work that is about to be done
 * @c: the handler's context
 * @actions: how many
 *
 * Context: Handler, after sw_prepare().
 * Return: false if the work must not be done; the handler has an error then.
 */
static __always_inline bool sw_charge(struct sw_context *c, u32 actions)
{
	c->actions -= (s32)actions;
	return likely(c->actions >= 0) || sw_charge_more(c);
}

/**
 * sw_charge_all() - pays for work on many things, as a whole
 * @c: the handler's context
 * @count: number of things
 * @cost: instructions for each
 * @what: what is done: "sorting"
 * @things: what is worked on: "elements"
 *
 * Context: Handler, after sw_prepare().
 * Return: false if the work must not be done. The error says what was to be done.
 */
bool sw_charge_all(struct sw_context *c, u64 count, u64 cost, const char *what, const char *things);

/**
 * sw_charge_late() - notes work that was done, of a bounded size
 * @c: the handler's context
 * @actions: how many
 *
 * Whoever pays next finds out whether they were there.
 *
 * Context: Handler.
 */
static __always_inline void sw_charge_late(struct sw_context *c, u32 actions)
{
	c->actions -= (s32)actions;
}

/**
 * sw_charge_step() - pays for steps of a loop over bytes
 * @c: the handler's context
 * @i: number of the step, from 0
 * @actions: what SW_STEPS steps cost
 *
 * The last of each SW_STEPS steps pays for all of them; sw_charge_last_steps() pays for the others.
 *
 * Context: Handler, after sw_prepare().
 * Return: false if the loop must end; the handler has an error then.
 */
static __always_inline bool sw_charge_step(struct sw_context *c, u64 i, u32 actions)
{
	return i % SW_STEPS != SW_STEPS - 1 || sw_charge(c, actions);
}

/**
 * sw_charge_last_steps() - notes the steps of such a loop that nobody has paid for
 * @c: the handler's context
 * @steps: how many steps the loop has made
 * @actions: as for sw_charge_step()
 *
 * Less than an action is free.
 *
 * Context: Handler.
 */
static __always_inline void sw_charge_last_steps(struct sw_context *c, u64 steps, u32 actions)
{
	sw_charge_late(c, (u32)(steps % SW_STEPS) * actions / SW_STEPS);
}

#endif
