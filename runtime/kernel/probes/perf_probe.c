// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events of the perf subsystem, one on each CPU: counters that overflow, and
 * watchpoints in the processor's debug registers. Handlers run in an interrupt, an
 * NMI or a debug exception.
 *
 * An event does not survive its CPU's going offline, so it is made again when the
 * CPU comes back. perf takes locks that CPU hotplug holds, so the hotplug callbacks
 * only mark the CPU, and a work item releases and makes events. perf_hook.lock keeps
 * the work item and attach apart; detach cancels the work item first.
 */
#include <linux/cpu.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <linux/workqueue.h>
#include "probes/hook.h"

/*
 * One CPU's event. Hits do not come where others took too long, where perf throttles an event,
 * and where several are due at once. How many is known for events with a period: of a clock from
 * the time, of others from perf's own count. The first two lines of counts are written by the
 * event's handler, on that CPU; the last by whoever holds the hook's lock.
 */
struct perf_cpu_event {
	struct perf_event *event; /* NULL: the CPU is offline, or has none */
	bool stale;		  /* the CPU has come or gone since the event was made */
	u64 first, calls;   /* a clock's first tick's time; the hits since the event was made */
	u64 missed, before; /* hits that did not come; those when the event was made */
	u64 lag, settled;   /* the same of this event by perf's count: as last read; reported */
};

struct perf_hook {
	struct sw_cpu_hotplug hotplug;
	struct sw_attachment *attachment;
	struct perf_event_attr attr;
	struct mutex lock; /* events are made and released under it */
	struct work_struct work;
	struct perf_cpu_event __percpu *events;
};

/* What struct hw_perf_event has in `interrupts` while the event is throttled. */
#define PERF_THROTTLED (~0ULL)

/* A clock counts nanoseconds. */
static bool perf_is_clock(const struct perf_event_attr *attr)
{
	return attr->type == PERF_TYPE_SOFTWARE && (attr->config == PERF_COUNT_SW_CPU_CLOCK ||
						    attr->config == PERF_COUNT_SW_TASK_CLOCK);
}

/* With a clock and a period it is known how many ticks are due since the first one. */
static void perf_clock_tick(struct perf_event *event, struct perf_sample_data *sample,
			    struct pt_regs *regs)
{
	struct perf_hook *p = event->overflow_handler_context;
	struct perf_cpu_event *e = this_cpu_ptr(p->events);
	sw_event_handler *handler = p->attachment->probe->handler;
	u64 now = ktime_get_mono_fast_ns(), due;

	if (!e->calls++)
		e->first = now;
	due = e->before + div64_u64(now - e->first, p->attr.sample_period) + 1;
	if (due > e->calls + e->missed)
		WRITE_ONCE(e->missed, due - e->calls);
	handler(event, sample, (struct sw_regs *)regs);
}

static void perf_period_tick(struct perf_event *event, struct perf_sample_data *sample,
			     struct pt_regs *regs)
{
	struct perf_hook *p = event->overflow_handler_context;
	struct perf_cpu_event *e = this_cpu_ptr(p->events);
	sw_event_handler *handler = p->attachment->probe->handler;

	WRITE_ONCE(e->calls, e->calls + 1);
	handler(event, sample, (struct sw_regs *)regs);
}

/*
 * At a frequency perf chooses the period, so nobody knows how many hits a pause costs: each pause,
 * which lasts until the next tick of the CPU's timer, counts as one.
 */
static void perf_frequency_tick(struct perf_event *event, struct perf_sample_data *sample,
				struct pt_regs *regs)
{
	struct perf_hook *p = event->overflow_handler_context;
	struct perf_cpu_event *e = this_cpu_ptr(p->events);
	sw_event_handler *handler = p->attachment->probe->handler;

	if (event->hw.interrupts == PERF_THROTTLED)
		WRITE_ONCE(e->missed, e->missed + 1);
	handler(event, sample, (struct sw_regs *)regs);
}

static perf_overflow_handler_t perf_tick_of(const struct perf_hook *p)
{
	const struct perf_event_attr *attr = &p->attr;

	if (attr->type == PERF_TYPE_BREAKPOINT) /* each access is a hit: perf never throttles it */
		/* sw_event_handler, with our names for the kernel's types */
		return (perf_overflow_handler_t)p->attachment->probe->handler;
	if (attr->freq)
		return perf_frequency_tick;
	return perf_is_clock(attr) ? perf_clock_tick : perf_period_tick;
}

/* Hits that are due by perf's count, and have not come. Under the hook's lock. */
static u64 perf_lag(const struct perf_hook *p, const struct perf_cpu_event *e)
{
	u64 enabled, running, due;

	if (!e->event || perf_tick_of(p) != perf_period_tick)
		return 0;
	due = div64_u64(perf_event_read_value(e->event, &enabled, &running), p->attr.sample_period);
	return due - min(due, READ_ONCE(e->calls));
}

/* A CPU that goes offline meanwhile is no error: its hotplug callback has marked it. */
static int perf_cpu_event_create(struct perf_hook *p, u32 cpu)
{
	struct perf_cpu_event *e = per_cpu_ptr(p->events, cpu);
	struct perf_event *event;

	e->before = e->missed;
	e->calls = 0;
	event = perf_event_create_kernel_counter(&p->attr, cpu, NULL, perf_tick_of(p), p);
	if (IS_ERR(event))
		return cpu_online(cpu) ? PTR_ERR(event) : 0;
	e->event = event;
	return 0;
}

static void perf_cpu_event_release(struct perf_hook *p, u32 cpu)
{
	struct perf_cpu_event *e = per_cpu_ptr(p->events, cpu);

	if (!e->event)
		return;
	perf_event_disable(e->event);
	WRITE_ONCE(e->missed, e->missed + max(perf_lag(p, e), e->settled));
	e->lag = e->settled = 0;
	perf_event_release_kernel(e->event);
	e->event = NULL;
}

/*
 * A hit that perf has counted, and whose handler comes a moment later, is in `lag` at one reading
 * and not at the next: the smaller of two is what is missing.
 */
static u64 perf_hook_missed(const struct sw_attachment *a)
{
	struct perf_hook *p = a->hook;
	u64 missed = 0;
	u32 cpu;

	mutex_lock(&p->lock);
	for_each_possible_cpu(cpu) {
		struct perf_cpu_event *e = per_cpu_ptr(p->events, cpu);
		u64 lag = perf_lag(p, e);

		e->settled = max(e->settled, min(lag, e->lag));
		e->lag = lag;
		missed += READ_ONCE(e->missed) + e->settled;
	}
	mutex_unlock(&p->lock);
	return missed;
}

/*
 * A mark is taken before the CPU's state is looked at, and xchg() orders the two: a
 * CPU that comes or goes behind that sets the mark again and schedules the work item
 * again.
 */
static void perf_renew(struct work_struct *work)
{
	struct perf_hook *p = container_of(work, struct perf_hook, work);
	u32 cpu;

	mutex_lock(&p->lock);
	for_each_possible_cpu(cpu) {
		int error = 0;

		if (!xchg(&per_cpu_ptr(p->events, cpu)->stale, false))
			continue;
		perf_cpu_event_release(p, cpu);
		if (cpu_online(cpu))
			error = perf_cpu_event_create(p, cpu);
		if (error)
			sw_log(KERN_WARNING, "no probe %s on CPU %u: error %d",
			       p->attachment->probe->symbol, cpu, error);
	}
	mutex_unlock(&p->lock);
}

static void perf_cpu_changed(struct sw_cpu_hotplug *hotplug, unsigned int cpu)
{
	struct perf_hook *p = container_of(hotplug, struct perf_hook, hotplug);

	xchg(&per_cpu_ptr(p->events, cpu)->stale, true);
	schedule_work(&p->work);
}

static void perf_free(struct perf_hook *p)
{
	free_percpu(p->events);
	sw_memory_add(-(s64)(num_possible_cpus() * sizeof(struct perf_cpu_event)));
	sw_hook_free(p, sizeof(*p));
}

/*
 * The order matters: no hotplug callback, so nothing schedules the work item; no
 * work item, so nothing makes events; then they are released. perf calls no handler
 * on a CPU that it has taken the event from, but does not wait for one that runs
 * there: handlers run with preemption off, so a grace period does (hook.c's).
 */
static void perf_hook_detach(struct sw_attachment *a)
{
	struct perf_hook *p = a->hook;
	u32 cpu;

	sw_cpu_hotplug_remove(&p->hotplug, false);
	cancel_work_sync(&p->work);
	mutex_lock(&p->lock);
	for_each_possible_cpu(cpu)
		perf_cpu_event_release(p, cpu);
	mutex_unlock(&p->lock);
}

static void perf_hook_release(struct sw_attachment *a)
{
	struct perf_hook *p = a->hook;

	a->missed += perf_hook_missed(a);
	perf_free(p);
}

static struct perf_hook *perf_alloc(struct sw_attachment *a, const struct perf_event_attr *attr)
{
	struct perf_hook *p = sw_hook_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->events = alloc_percpu_gfp(struct perf_cpu_event, SW_GFP_PERCPU);
	if (!p->events) {
		sw_hook_free(p, sizeof(*p));
		return NULL;
	}
	sw_memory_add(num_possible_cpus() * sizeof(struct perf_cpu_event));
	p->hotplug.online = perf_cpu_changed;
	p->hotplug.offline = perf_cpu_changed;
	p->attachment = a;
	p->attr = *attr;
	mutex_init(&p->lock);
	INIT_WORK(&p->work, perf_renew);
	return p;
}

/*
 * Hotplug callbacks come before the first event: a CPU that comes between the two is
 * marked, and the work item waits for the lock. The other way round its event would
 * never be made.
 */
static int perf_attach_events(struct sw_attachment *a, const struct perf_event_attr *attr)
{
	struct perf_hook *p = perf_alloc(a, attr);
	int error;
	u32 cpu;

	if (!p)
		return -ENOMEM;
	error = sw_cpu_hotplug_add(&p->hotplug, false);
	if (error) {
		perf_free(p);
		return error;
	}
	a->hook = p;
	mutex_lock(&p->lock);
	for_each_online_cpu(cpu) {
		error = perf_cpu_event_create(p, cpu);
		if (error)
			break;
	}
	mutex_unlock(&p->lock);
	if (error)
		sw_hook_undo(a);
	return error;
}

static int perf_watchpoint_attach(struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	u64 address = probe->watchpoint.address ?: sw_symbol_find(probe->symbol);
	struct perf_event_attr attr;

	if (!address)
		return -ENOENT;
	if (address < TASK_SIZE_MAX)
		return -EFAULT;
	hw_breakpoint_init(&attr);
	attr.bp_addr = address;
	attr.bp_len = probe->watchpoint.length;
	attr.bp_type = probe->watchpoint.access;
	return perf_attach_events(a, &attr);
}

static unsigned long perf_watchpoint_address(const struct sw_attachment *a)
{
	return ((const struct perf_hook *)a->hook)->attr.bp_addr;
}

static const char *perf_watchpoint_explain(int error)
{
	switch (error) {
	case -ENOENT:
		return "the kernel has no such variable";
	case -EFAULT:
		return "this is no address of the kernel";
	case -ENOSPC:
	case -EBUSY:
		return "the processor has no watchpoint left";
	case -EINVAL:
		return "the processor cannot watch this place";
	default:
		return NULL;
	}
}

const struct sw_hook_ops sw_watchpoint_ops = {
	.attach = perf_watchpoint_attach,
	.detach = perf_hook_detach,
	.release = perf_hook_release,
	.address = perf_watchpoint_address,
	.explain = perf_watchpoint_explain,
};

static int perf_hook_attach(struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	struct perf_event_attr attr = {
		.type = probe->perf.type,
		.config = probe->perf.config,
		.size = sizeof(attr),
	};

	if (probe->perf.frequency && perf_is_clock(&attr)) {
		/* perf does the same, and then nobody knows what is due */
		attr.sample_period =
			div64_u64(NSEC_PER_SEC, min_t(s64, probe->perf.frequency, SW_MOST_HITS));
	} else if (probe->perf.frequency) {
		attr.freq = 1;
		attr.sample_freq = min_t(s64, probe->perf.frequency, SW_MOST_HITS);
	} else {
		attr.sample_period = probe->perf.period;
		if (perf_is_clock(&attr)) /* as often as any timer, but not more often */
			attr.sample_period =
				max_t(s64, probe->perf.period, NSEC_PER_SEC / SW_MOST_HITS);
	}
	return perf_attach_events(a, &attr);
}

static const char *perf_hook_explain(int error)
{
	switch (error) {
	case -ENOENT:
	case -EOPNOTSUPP:
	case -ENODEV:
		return "neither the kernel nor the processor counts this";
	case -ENOSPC:
	case -EBUSY:
		return "the processor has no counter left";
	case -EINVAL:
		return "perf does not know this configuration";
	default:
		return NULL;
	}
}

const struct sw_hook_ops sw_perf_ops = {
	.attach = perf_hook_attach,
	.detach = perf_hook_detach,
	.release = perf_hook_release,
	.missed = perf_hook_missed,
	.explain = perf_hook_explain,
	.late = true,
};
