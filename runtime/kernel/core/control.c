// SPDX-License-Identifier: GPL-2.0-or-later
/* control.c - the module's life: start, exit, stop, sync. Callers hold the control mutex, but for
 * sw_exit(). */
#include "probes/hook.h"

static struct sw_start given;

u32 sw_state(void)
{
	return READ_ONCE(sw_header->state);
}

s64 sw_target(void)
{
	return given.target;
}

s64 sw_seconds_west(void)
{
	return given.west;
}

const char *sw_time_zone(void)
{
	return given.zone;
}

static void announce(enum sw_state state)
{
	struct sw_context *c = sw_context_take(SW_NO_PROBE);

	sw_event_bare(c, SW_EVENT_STATE, state);
	sw_context_give(c);
	sw_reader_wake();
}

static void set_state(enum sw_state state)
{
	WRITE_ONCE(sw_header->state, state);
	announce(state);
}

/* RUNNING or STARTING to EXITING, by exactly one of those who try. */
static bool begin_exit(void)
{
	return cmpxchg(&sw_header->state, SW_RUNNING, SW_EXITING) == SW_RUNNING ||
	       cmpxchg(&sw_header->state, SW_STARTING, SW_EXITING) == SW_STARTING;
}

void sw_exit(struct sw_context *c)
{
	if (!begin_exit())
		return;
	sw_gates_set(1);
	sw_event_bare(c, SW_EVENT_STATE, SW_EXITING);
	sw_reader_kick();
}

int sw_control_start(const struct sw_start *options)
{
	int error;

	if (sw_state() != SW_LOADED && sw_state() != SW_STOPPED)
		return -EBUSY;
	given = *options;
	given.zone[sizeof(given.zone) - 1] = 0;
	sw_errors_reset(options->max_errors);
	sw_control_sync();
	sw_header->started_ns = ktime_get_real_ns();
	set_state(SW_STARTING);

	/* No hook is in place: all gates may be open, and a begin probe may move to another CPU. */
	sw_gates_set(0);
	sw_phase_run(SW_BEGIN, SW_STARTING);
	sw_gates_set(1);
	if (sw_state() != SW_STARTING)
		return 0;

	error = sw_hooks_attach();
	if (error) {
		WRITE_ONCE(sw_header->failed, 1);
		set_state(SW_STOPPED);
		return error;
	}
	set_state(SW_RUNNING);
	sw_gates_set(0);
	/* The first handlers may have ended it all while other gates were still being opened. */
	if (sw_state() != SW_RUNNING)
		sw_gates_set(1);
	return 0;
}

void sw_control_stop(void)
{
	if (sw_state() == SW_STOPPED)
		return;
	if (sw_state() == SW_LOADED) {
		set_state(SW_STOPPED);
		return;
	}
	if (begin_exit())
		announce(SW_EXITING);
	sw_gates_set(1);
	sw_hooks_detach();
	sw_gates_drain();

	sw_gates_set(0);
	sw_phase_run(READ_ONCE(sw_header->failed) ? SW_ERROR : SW_END, SW_EXITING);
	sw_gates_set(1);
	sw_control_sync();
	set_state(SW_STOPPED);
}

void sw_control_sync(void)
{
	sw_hooks_count_missed();
	WRITE_ONCE(sw_header->time_offset, ktime_get_real_fast_ns() - ktime_get_mono_fast_ns());
}
