// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * perf.c - events of the kernel's perf subsystem, on each CPU: counters that have counted so far,
 * and watchpoints in the processor's debug registers. Handlers run in the interrupt, the NMI or the
 * debug exception.
 *
 * A CPU that has gone takes its events along, so those of one that comes are made anew: by a
 * worker, since perf takes locks that hotplugging holds.
 */
#include <linux/cpu.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <linux/workqueue.h>
#include "probes/hook.h"

struct event {
	struct perf_event *event; /* NULL: the CPU is offline, or has none */
	bool stale;
	u64 first, calls; /* of a clock: time of the first tick, and how many came */
	u64 missed; /* ticks that did not come: others took too long, or perf held them back */
	u64 before; /* of these, when the event was made */
};

struct events {
	struct sw_cpus cpus;
	struct sw_placement *placement;
	struct perf_event_attr attr;
	struct mutex lock;
	struct work_struct work;
	struct event __percpu *each;
};

/* A clock counts nanoseconds. */
static bool is_clock(const struct perf_event_attr *attr)
{
	return attr->type == PERF_TYPE_SOFTWARE && (attr->config == PERF_COUNT_SW_CPU_CLOCK ||
						    attr->config == PERF_COUNT_SW_TASK_CLOCK);
}

/* Of a clock with a period it is known how many ticks should have come since the first one. */
static void on_clock_tick(struct perf_event *event, struct perf_sample_data *sample,
			  struct pt_regs *regs)
{
	struct events *all = event->overflow_handler_context;
	struct event *each = this_cpu_ptr(all->each);
	sw_event_handler *handler = all->placement->probe->handler;
	u64 now = ktime_get_mono_fast_ns(), due;

	if (!each->calls++)
		each->first = now;
	due = each->before + div64_u64(now - each->first, all->attr.sample_period) + 1;
	if (due > each->calls + each->missed)
		WRITE_ONCE(each->missed, due - each->calls);
	handler(event, sample, (struct sw_regs *)regs);
}

static int event_create(struct events *all, u32 cpu)
{
	struct event *each = per_cpu_ptr(all->each, cpu);
	/* void (*)(void *, void *, struct sw_regs *) with our names for the kernel's types */
	perf_overflow_handler_t handler = (perf_overflow_handler_t)all->placement->probe->handler;
	struct perf_event *event;

	if (is_clock(&all->attr) && !all->attr.freq)
		handler = on_clock_tick;
	each->before = each->missed;
	each->calls = 0;
	event = perf_event_create_kernel_counter(&all->attr, cpu, NULL, handler, all);
	if (IS_ERR(event))
		return cpu_online(cpu) ? PTR_ERR(event) : 0;
	each->event = event;
	return 0;
}

static void event_release(struct events *all, u32 cpu)
{
	struct event *each = per_cpu_ptr(all->each, cpu);

	if (each->event)
		perf_event_release_kernel(each->event);
	each->event = NULL;
}

static u64 events_missed(const struct sw_placement *p)
{
	const struct events *all = p->hook;
	u64 missed = 0;
	u32 cpu;

	for_each_possible_cpu(cpu)
		missed += READ_ONCE(per_cpu_ptr(all->each, cpu)->missed);
	return missed;
}

static void renew(struct work_struct *work)
{
	struct events *all = container_of(work, struct events, work);
	u32 cpu;

	mutex_lock(&all->lock);
	for_each_possible_cpu(cpu) {
		int error = 0;

		if (!xchg(&per_cpu_ptr(all->each, cpu)->stale, false))
			continue;
		event_release(all, cpu);
		if (cpu_online(cpu))
			error = event_create(all, cpu);
		if (error)
			sw_log(KERN_WARNING, "no probe %s on CPU %u: error %d",
			       all->placement->probe->symbol, cpu, error);
	}
	mutex_unlock(&all->lock);
}

static void on_change(struct sw_cpus *cpus, unsigned int cpu)
{
	struct events *all = container_of(cpus, struct events, cpus);

	xchg(&per_cpu_ptr(all->each, cpu)->stale, true);
	schedule_work(&all->work);
}

static void events_free(struct events *all)
{
	free_percpu(all->each);
	sw_memory_add(-(s64)(num_possible_cpus() * sizeof(struct event)));
	sw_hook_free(all, sizeof(*all));
}

/* perf runs no handler on a CPU that it has taken the event from, but does not wait for one that is
 * under way there.
 */
static void events_remove(struct sw_placement *p)
{
	struct events *all = p->hook;
	u32 cpu;

	sw_cpus_leave(&all->cpus, false);
	cancel_work_sync(&all->work);
	for_each_possible_cpu(cpu)
		event_release(all, cpu);
	synchronize_rcu();
	p->missed += events_missed(p);
	events_free(all);
}

static int events_place(struct sw_placement *p, const struct perf_event_attr *attr)
{
	struct events *all = sw_hook_alloc(sizeof(*all));
	int error;
	u32 cpu;

	if (!all)
		return -ENOMEM;
	all->each = alloc_percpu(struct event);
	if (!all->each) {
		sw_hook_free(all, sizeof(*all));
		return -ENOMEM;
	}
	sw_memory_add(num_possible_cpus() * sizeof(struct event));
	all->cpus.online = on_change;
	all->cpus.offline = on_change;
	all->placement = p;
	all->attr = *attr;
	mutex_init(&all->lock);
	INIT_WORK(&all->work, renew);
	error = sw_cpus_follow(&all->cpus, false);
	if (error) {
		events_free(all);
		return error;
	}
	p->hook = all;
	mutex_lock(&all->lock);
	for_each_online_cpu(cpu) {
		error = event_create(all, cpu);
		if (error)
			break;
	}
	mutex_unlock(&all->lock);
	if (error) {
		events_remove(p);
		p->hook = NULL;
	}
	return error;
}

static int watchpoint_place(struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	u64 address = probe->offset ?: sw_symbol_find(probe->symbol);
	struct perf_event_attr attr;

	if (!address)
		return -ENOENT;
	if (address < TASK_SIZE_MAX)
		return -EFAULT;
	hw_breakpoint_init(&attr);
	attr.bp_addr = address;
	attr.bp_len = probe->number;
	attr.bp_type = probe->type;
	return events_place(p, &attr);
}

static const char *watchpoint_refusal(int error)
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

const struct sw_hook_ops sw_watchpoint_hook = {
	.place = watchpoint_place,
	.remove = events_remove,
	.refusal = watchpoint_refusal,
};

static int perf_place(struct sw_placement *p)
{
	const struct sw_probe *probe = p->probe;
	struct perf_event_attr attr = {
		.type = probe->type,
		.config = probe->config,
		.size = sizeof(attr),
	};

	if (probe->flags & SW_PROBE_FREQUENCY) {
		attr.freq = 1;
		attr.sample_freq = min_t(s64, probe->number, SW_MOST_HITS);
	} else {
		attr.sample_period = probe->number;
		if (is_clock(&attr)) /* as often as any timer, but not more often */
			attr.sample_period = max_t(s64, probe->number, NSEC_PER_SEC / SW_MOST_HITS);
	}
	return events_place(p, &attr);
}

static const char *perf_refusal(int error)
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

const struct sw_hook_ops sw_perf_hook = {
	.place = perf_place,
	.remove = events_remove,
	.missed = events_missed,
	.refusal = perf_refusal,
	.late = true,
};
