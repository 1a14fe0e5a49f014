/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hits of a probe cost: some of them are timed, and stand for the others.
 *
 *   [ sw_context | sw_meter of probe 0 | sw_meter of probe 1 ... | frames ... ]
 *
 * A hit that is not timed pays three instructions: sw_enter() counts down to the next
 * timed one and jumps if it is due, and sw_leave() takes one from @busy and jumps unless it
 * is zero then, where it would else store a zero. A timed hit sets @busy to 2. All else is
 * out of line, in core/meter.c.
 */
#ifndef STAPWATCH_METER_H
#define STAPWATCH_METER_H

/**
 * struct sw_meter - the meter of one probe on one CPU
 * @countdown: hits until the next timed one, that one included
 * @gap: hits that the next timed one stands for, itself included
 * @doubt: timed hits left that may confirm an outlier
 * @late: timed hits left that may confirm a hit over its budget
 * @slot: the time slot of @recent_ns
 * @mean_ns: mean cost of a hit, but for hits that did much work of their own
 * @doubted_ns: time of an outlier that no budget has been charged with yet
 * @recent_ns: time of about the last second, which fades
 * @hits: the probe's count of hits when one was last timed
 *
 * "Hits" are calls of the probe's handlers here: an entry handler of a return probe is one,
 * too.
 */
struct sw_meter {
	u32 countdown;
	u32 gap;
	u8 doubt;
	u8 late;
	u32 slot;
	u64 mean_ns;
	u64 doubted_ns;
	u64 recent_ns;
	u64 hits;
};

/**
 * struct sw_sample - the hit that is being timed
 * @probe: index of its probe
 * @looks: pieces of work that it has paid for
 * @late: the time before the first look is not known yet
 * @start: clock when it began
 */
struct sw_sample {
	u32 probe;
	u32 looks;
	bool late;
	u64 start;
};

/* Time slots that are kept; a power of two, with room for a second and the newest one. */
#define SW_METER_SLOTS	16
#define SW_METER_SECOND 10 /* slots in a second */

/**
 * struct sw_window - what one CPU spent in the last slots
 * @jitter: state of the generator that varies the gaps
 * @before_ns: sum of the nine slots before the newest one
 * @slots: each at its number modulo SW_METER_SLOTS; other CPUs read them
 */
struct sw_window {
	u32 jitter;
	u64 before_ns;
	struct {
		u32 number;
		u64 ns;
		u64 hits;
	} slots[SW_METER_SLOTS];
};

#endif
