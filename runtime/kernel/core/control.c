// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's life: start, exit, stop, sync. runtime.h draws the states.
 *
 * Concurrency: start, stop, sync and input are called with the control mutex of
 * device.c held, or while the module is unloaded, so never at the same time.
 * sw_exit() is called by handlers, on any CPU and in any context, at any time of
 * these. The state is the only thing that both sides write: sw_exit() moves it by
 * cmpxchg from STARTING or RUNNING to EXITING, and only stop leaves EXITING.
 */
#include "probes/hook.h"

static struct sw_start control_options; /* of the last start; handlers only read it */

u32 sw_state(void)
{
	return READ_ONCE(sw_header->state);
}

s64 sw_target(void)
{
	return control_options.target;
}

s64 sw_seconds_west(void)
{
	return control_options.west;
}

const char *sw_time_zone(void)
{
	return control_options.zone;
}

static void control_announce(enum sw_state state)
{
	struct sw_context *c = sw_context_take(SW_NO_PROBE);

	sw_event_bare(c, SW_EVENT_STATE, state);
	sw_context_give(c);
	sw_reader_wake();
}

static void control_set_state(enum sw_state state)
{
	WRITE_ONCE(sw_header->state, state);
	control_announce(state);
}

/* From RUNNING or STARTING to EXITING; true for exactly one caller. */
static bool control_begin_exit(void)
{
	return cmpxchg(&sw_header->state, SW_RUNNING, SW_EXITING) == SW_RUNNING ||
	       cmpxchg(&sw_header->state, SW_STARTING, SW_EXITING) == SW_STARTING;
}

/*
 * The cmpxchg is a full barrier, so the state changes before the first handler is
 * disabled. sw_control_start() relies on this order.
 */
void sw_exit(struct sw_context *c)
{
	if (!control_begin_exit())
		return;
	sw_handlers_disable();
	sw_event_bare(c, SW_EVENT_STATE, SW_EXITING);
	sw_reader_kick();
}

int sw_control_start(const struct sw_start *options)
{
	int error;

	if (sw_state() != SW_LOADED && sw_state() != SW_STOPPED)
		return -EBUSY;
	control_options = *options;
	control_options.zone[sizeof(control_options.zone) - 1] = 0;
	sw_errors_reset(options->max_errors);
	sw_control_sync();
	sw_header->started_ns = ktime_get_real_ns();
	control_set_state(SW_STARTING);

	/*
	 * No hook is attached yet, so handlers may be enabled on all CPUs: only the
	 * begin probes run, and they may move from CPU to CPU.
	 */
	sw_handlers_enable();
	sw_phase_run(SW_BEGIN, SW_STARTING);
	sw_handlers_disable();
	if (sw_state() != SW_STARTING)
		return 0; /* a begin probe has called exit() */

	/* Attaching takes time. Disabled, no handler runs before all hooks are attached. */
	error = sw_hooks_attach();
	if (error) {
		WRITE_ONCE(sw_header->failed, 1);
		control_set_state(SW_STOPPED);
		return error;
	}
	control_set_state(SW_RUNNING);
	sw_handlers_enable();
	/*
	 * The first handlers may have called sw_exit() while those of other CPUs were
	 * still being enabled, and the loop has undone part of its work. It changes
	 * the state before it disables the handlers, so the test of the state finds it.
	 * The barrier pairs with the cmpxchg: without it, a store that enables a CPU's
	 * handlers could become visible after the state was tested and after
	 * sw_exit()'s own stores.
	 */
	smp_mb();
	if (sw_state() != SW_RUNNING)
		sw_handlers_disable();
	return 0;
}

void sw_control_stop(void)
{
	if (sw_state() == SW_STOPPED)
		return;
	if (sw_state() == SW_LOADED) {
		control_set_state(SW_STOPPED);
		return;
	}
	if (control_begin_exit())
		control_announce(SW_EXITING);
	/*
	 * The order matters: first no new handler starts, then no hook calls one, then
	 * none is left running. After that, end probes see final values.
	 */
	sw_handlers_disable();
	sw_hooks_detach();
	sw_handlers_drain();

	sw_handlers_enable();
	sw_phase_run(READ_ONCE(sw_header->failed) ? SW_ERROR : SW_END, SW_EXITING);
	sw_handlers_disable();
	sw_control_sync();
	control_set_state(SW_STOPPED);
}

void sw_control_sync(void)
{
	sw_hooks_count_missed();
	WRITE_ONCE(sw_header->time_offset, ktime_get_real_fast_ns() - ktime_get_mono_fast_ns());
}
