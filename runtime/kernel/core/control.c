// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's life: start, exit, disarm, arm, stop, sync. runtime.h draws the states.
 *
 * Concurrency: start, stop, arm, sync and input are called with the control mutex held,
 * so never at the same time. sw_exit() and sw_disarm() are called by handlers, on any CPU
 * and in any context, at any time of these; SW_IOC_EXIT, too, may come at any time. The
 * state is the only thing that both sides write: handlers move it by cmpxchg to EXITING or
 * DISARMED, only stop leaves EXITING, and only arm and sw_exit() leave DISARMED.
 *
 * A handler can detach nothing. So sw_disarm() closes the handlers on all CPUs, and queues
 * an irq_work, which schedules a work item, which takes the control mutex and detaches the
 * hooks. Whoever has the mutex first does it: arm and stop do not rely on the work item,
 * which then finds nothing left to do.
 */
#include <linux/irq_work.h>
#include <linux/workqueue.h>
#include "probes/hook.h"

DEFINE_MUTEX(sw_control_mutex);

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

static bool control_change_state(u32 from, u32 to)
{
	return cmpxchg(&sw_header->state, from, to) == from;
}

/*
 * To EXITING; true for exactly one caller. DISARMED is last, as it follows RUNNING: a
 * handler that still runs when another CPU disarms the script may end it all the same.
 */
static bool control_begin_exit(void)
{
	return control_change_state(SW_STARTING, SW_EXITING) ||
	       control_change_state(SW_RUNNING, SW_EXITING) ||
	       control_change_state(SW_DISARMED, SW_EXITING);
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

static u32 control_disarming; /* 1: sw_header's members about a disarm have an owner */
static struct irq_work control_kick;
static struct work_struct control_work;

static void control_reset_breach(void)
{
	sw_header->breach = SW_BREACH_NONE;
	sw_header->breach_probe = SW_NO_PROBE;
	sw_header->breach_value = 0;
	sw_header->breach_limit = 0;
	smp_store_release(&control_disarming, 0);
}

/*
 * As in sw_exit(), the state changes before the first handler is disabled. The header says
 * why before the state changes. If exit() was faster, nothing is disarmed.
 */
bool sw_disarm(struct sw_context *c, enum sw_breach breach, u32 probe, u64 value, u64 limit)
{
	if (sw_state() != SW_RUNNING || cmpxchg(&control_disarming, 0, 1))
		return false;
	sw_header->breach = breach;
	sw_header->breach_probe = probe;
	sw_header->breach_value = value;
	sw_header->breach_limit = limit;
	sw_header->disarmed_ns = sw_clock_real();
	sw_header->disarms++;
	if (!control_change_state(SW_RUNNING, SW_DISARMED)) {
		sw_header->disarms--;
		control_reset_breach();
		return false;
	}
	sw_handlers_disable();
	c->probe = SW_NO_PROBE;
	sw_event_bare(c, SW_EVENT_STATE, SW_DISARMED);
	sw_reader_kick();
	irq_work_queue(&control_kick);
	return true;
}

static void control_on_kick(struct irq_work *unused)
{
	schedule_work(&control_work);
}

/*
 * First no new handler starts, then no hook calls one, then none is left running. It does
 * nothing if the hooks are out.
 */
static void control_detach(void)
{
	sw_handlers_disable();
	sw_hooks_detach();
	sw_handlers_drain();
}

static void control_work_run(struct work_struct *unused)
{
	mutex_lock(&sw_control_mutex);
	if (sw_state() == SW_DISARMED)
		control_detach();
	mutex_unlock(&sw_control_mutex);
}

void sw_control_create(void)
{
	init_irq_work(&control_kick, control_on_kick);
	INIT_WORK(&control_work, control_work_run);
	control_reset_breach();
}

/* As sw_hooks_destroy(): no handler runs any more, so nothing queues the irq_work. */
void sw_control_destroy(void)
{
	irq_work_sync(&control_kick);
	cancel_work_sync(&control_work);
}

/*
 * The first handlers may have called sw_exit() or sw_disarm() while those of other CPUs
 * were still being enabled, and the loop has undone part of their work. They change the
 * state before they disable the handlers, so the test of the state finds it. The barrier
 * pairs with the cmpxchg: without it, a store that enables a CPU's handlers could become
 * visible after the state was tested and after the other one's own stores.
 */
static void control_run(void)
{
	sw_handlers_enable();
	smp_mb();
	if (sw_state() != SW_RUNNING)
		sw_handlers_disable();
}

/*
 * The same, and the handlers of another module are disabled. An event is counted by both or
 * by none only if it happens in between; so this thread must not lose its CPU there.
 */
static void control_run_instead(struct file *other)
{
	preempt_disable();
	control_run();
	other->f_op->unlocked_ioctl(other, SW_IOC_EXIT, 0);
	preempt_enable();
}

int sw_control_disarm(void)
{
	/* Again if a handler on another CPU is about to do the same, or to fail because of exit(). */
	while (sw_state() == SW_RUNNING) {
		struct sw_context *c = sw_context_take(SW_NO_PROBE);

		sw_disarm(c, SW_BREACH_REQUEST, SW_NO_PROBE, 0, 0);
		sw_context_give(c);
	}
	if (sw_state() != SW_DISARMED)
		return -EBUSY;
	control_detach();
	return 0;
}

/*
 * Until the hooks are out, a handler may still move DISARMED to EXITING; SW_IOC_EXIT may at any
 * time. control_disarming is given back before RUNNING, so that the first handlers can disarm
 * the script.
 */
int sw_control_arm(const struct sw_budgets *budgets)
{
	int error;

	if (sw_state() == SW_RUNNING) {
		sw_meters_limit(budgets);
		return 0;
	}
	if (sw_state() != SW_DISARMED)
		return -EBUSY;
	control_detach();
	if (sw_state() != SW_DISARMED)
		return -EBUSY;
	error = sw_hooks_attach();
	if (error)
		return error;
	sw_budgets_set(budgets);
	smp_store_release(&control_disarming, 0);
	if (!control_change_state(SW_DISARMED, SW_RUNNING))
		return -EBUSY; /* SW_IOC_EXIT came meanwhile */
	control_announce(SW_RUNNING);
	control_run();
	return 0;
}

void sw_control_exit(void)
{
	struct sw_context *c = sw_context_take(SW_NO_PROBE);

	sw_exit(c);
	sw_context_give(c);
}

/* What pid() is in handlers for the process that the caller knows by this number, as in a container. */
static s64 control_first_pid(s64 number)
{
	struct pid *pid;

	rcu_read_lock();
	pid = find_vpid((int)number);
	if (pid)
		number = pid_nr(pid);
	rcu_read_unlock();
	return number;
}

int sw_control_start(const struct sw_start *options, struct file *instead_of)
{
	int error;

	if (sw_state() != SW_LOADED && sw_state() != SW_STOPPED)
		return -EBUSY;
	control_options = *options;
	control_options.target = control_first_pid(options->target);
	control_options.zone[sizeof(control_options.zone) - 1] = 0;
	sw_errors_reset(options->max_errors);
	sw_budgets_start(options);
	control_reset_breach();
	sw_header->disarmed_ns = 0;
	sw_header->disarms = 0;
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
		/* a reader that adopts the module after this one was killed sees that no probe has run */
		sw_header->started_ns = 0;
		WRITE_ONCE(sw_header->failed, 1);
		control_set_state(SW_STOPPED);
		return error;
	}
	if (!control_change_state(SW_STARTING, SW_RUNNING))
		return 0; /* SW_IOC_EXIT came meanwhile */
	control_announce(SW_RUNNING);
	if (instead_of)
		control_run_instead(instead_of);
	else
		control_run();
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
	sw_control_exit();
	control_detach(); /* from now on end probes see final values */

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
