// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Times some hits, adds up what all of them cost, and compares it with the budgets. No kernel
 * headers, so that it also runs in user space.
 *
 * Samples. The first hit of a probe on a CPU is timed. A timed hit stands for all since the last
 * one, and chooses the next one: so far ahead that the probe takes about a millisecond until
 * then, but at most 256 hits. The gap varies at random, or it could fall into step with a
 * pattern of the hits. The cost of a hit does not depend on the gap before it, so the sum is an
 * unbiased estimate.
 *
 * What is timed is the handler: waiting for locks, hits that were skipped inside it, and
 * interrupts on top of it included. sw_meter_cost() adds the hook. Hits that find the handlers
 * busy or disabled are not charged.
 *
 * Outliers. A hypervisor or an interrupt can take a long time in the middle of a timed hit, and
 * such a time must neither be multiplied nor disarm a healthy script. So a hit is trusted up to
 * 20 us and eight times the mean of the probe's other hits, and 32 us more for each piece of
 * work that it has paid for (sw_meter_heavy()). The time beyond that counts once, and towards
 * the budgets only if one of the next eight hits, each of which is timed, is an outlier, too.
 * In the same way the budget for a hit is exceeded by the second of two hits out of nine.
 *
 * Work. A hit that pays for much work is timed from its first look on, and stands for itself
 * alone; the hits before it count with the mean of those that do little.
 *
 * Windows. Each CPU has the sums of its last time slots of 100 ms. At each timed hit it compares
 * what it spent in the current slot and the nine before it with the budget for one CPU. The
 * first CPU that times a hit in a slot adds up the ten complete slots of all CPUs. Nothing runs
 * for a script without hits. Slots are numbered by a clock that all CPUs share, so those of a
 * CPU that had no hits since are known to be old.
 *
 * All of a CPU's numbers are written by its own handlers only. Other CPUs read the slots (a slot
 * is emptied before it gets its new number) and `recent_ns`, which only helps to name a probe.
 */
#include "stapwatch.h"
#include "core/meter.h"
#include "core/ring.h"

#define METER_MOST_GAP	   256
#define METER_BETWEEN_NS   1000000ULL
#define METER_TRUSTED_NS   20000
#define METER_TRUSTED_MEAN 8
#define METER_LOOK_NS	   32000
#define METER_HALF_LOOK_NS 2000
#define METER_CONFIRM	   8 /* hits */
#define METER_NONE	   (~0ULL)

/* METER_NONE: no limit. The second one in ns of a second. */
static u64 meter_cpu_ppm = METER_NONE, meter_one_cpu_ns = METER_NONE;
static u64 meter_hit_ns = METER_NONE, meter_hits = METER_NONE;
static u32 meter_added_up; /* the last slot whose predecessors were added up for all CPUs */

void sw_meters_init(struct sw_context *c)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++)
		sw_meters(c)[i].gap = sw_meters(c)[i].countdown = 1;
	c->window.jitter = (u32)c->seed;
}

void sw_meters_forget(struct sw_context *c)
{
	u32 i;

	for (i = 0; i < SW_METER_SLOTS; i++)
		c->window.slots[i].ns = c->window.slots[i].hits = 0;
	c->window.before_ns = 0;
	for (i = 0; i < sw_script.nr_probes; i++)
		sw_meters(c)[i].recent_ns = sw_meters(c)[i].doubted_ns = 0;
}

static u64 meter_limit(u64 budget, u64 unit)
{
	return budget && budget < METER_NONE / unit ? budget * unit : METER_NONE;
}

void sw_meters_limit(const struct sw_budgets *budgets)
{
	WRITE_ONCE(meter_cpu_ppm, meter_limit(budgets->cpu_ppm, 1));
	WRITE_ONCE(meter_one_cpu_ns, meter_limit(budgets->one_cpu_ppm, 1000));
	WRITE_ONCE(meter_hit_ns, meter_limit(budgets->hit_ns, 1));
	WRITE_ONCE(meter_hits, meter_limit(budgets->hits_per_second, 1));
}

/* ---------------------------------------------------------------- samples */

sw_saves_registers void sw_meter_enter(void)
{
	struct sw_context *c = sw_this_cpu_area();

	c->busy = 2;
	c->sample.looks = 0;
	c->sample.late = false;
	c->sample.start = sw_meter_clock();
}

/* The time before the first look is taken to be as long as that from the first to the second. */
void sw_meter_heavy(struct sw_context *c)
{
	struct sw_sample *s = &c->sample;

	if (c->busy == 1) {
		c->busy = 2;
		s->probe = c->probe;
		s->looks = 0;
		s->late = true;
		s->start = sw_meter_clock();
	} else if (s->late && s->looks == 1) {
		s->start -= sw_meter_clock() - s->start;
		s->late = false;
	}
	s->looks++;
}

static u64 meter_least(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* A uniform number from 0 to `most`. */
static u32 meter_random(struct sw_context *c, u32 most)
{
	u32 *state = &c->window.jitter;

	*state = *state * 1664525 + 1013904223;
	return (u32)((u64)*state * (most + 1) >> 32);
}

static u32 meter_gap(struct sw_context *c, const struct sw_meter *m, u64 cost)
{
	u32 most = METER_MOST_GAP;

	if (m->doubt || m->late)
		return 1;
	if (cost > METER_BETWEEN_NS / METER_MOST_GAP)
		most = cost < METER_BETWEEN_NS ? (u32)(METER_BETWEEN_NS / cost) : 1;
	return most - meter_random(c, most / 2);
}

/* Returns what an outlier's time beyond the trusted one adds to the budgets. */
static u64 meter_confirm(struct sw_meter *m, u64 beyond)
{
	if (!beyond) {
		if (m->doubt && !--m->doubt)
			m->doubted_ns = 0;
		return 0;
	}
	if (m->doubt) {
		beyond += m->doubted_ns;
		m->doubted_ns = 0;
	} else {
		m->doubted_ns = beyond;
		beyond = 0;
	}
	m->doubt = METER_CONFIRM;
	return beyond;
}

static void meter_learn(struct sw_meter *m, u64 cost)
{
	if (m->mean_ns)
		m->mean_ns += ((s64)cost - (s64)m->mean_ns) / METER_TRUSTED_MEAN;
	else
		m->mean_ns = cost;
}

/*
 * Adds the cost of the timed hit and of those that it stands for to the probe's time. Returns
 * what it adds to the budgets.
 */
static u64 meter_add(struct sw_context *c, struct sw_meter *m, u64 cost, u64 *cpu_ns)
{
	u32 looks = c->sample.looks, hits = m->gap - m->countdown;
	u64 trusted =
		METER_TRUSTED_NS + METER_TRUSTED_MEAN * m->mean_ns + (u64)METER_LOOK_NS * looks;
	u64 sure = meter_least(cost, trusted), sum = sure, confirmed;

	if (hits > 1)
		sum += (hits - 1) * (looks ? m->mean_ns : sure);
	*cpu_ns += sum + (cost - sure);
	confirmed = meter_confirm(m, cost - sure);
	if (!looks)
		meter_learn(m, confirmed ? cost : sure);
	m->gap = m->countdown = meter_gap(c, m, sure);
	return sum + confirmed;
}

/* ---------------------------------------------------------------- windows */

/* The sums of the `slots` slots before `now`. */
static void meter_sum(const struct sw_window *w, u32 now, u32 slots, u64 *ns, u64 *hits)
{
	u32 i;

	for (i = 0; i < SW_METER_SLOTS; i++) {
		if (now - 1 - sw_load_acquire(&w->slots[i].number) >= slots)
			continue;
		*ns += READ_ONCE(w->slots[i].ns);
		*hits += READ_ONCE(w->slots[i].hits);
	}
}

/* Returns whether the slot is a new one. */
static bool meter_spend(struct sw_window *w, u32 now, u64 ns, u64 hits)
{
	u32 i = now % SW_METER_SLOTS;
	bool is_new = w->slots[i].number != now;
	u64 unused = 0;

	if (is_new) {
		WRITE_ONCE(w->slots[i].ns, 0);
		WRITE_ONCE(w->slots[i].hits, 0);
		sw_store_release(&w->slots[i].number, now);
		w->before_ns = 0;
		meter_sum(w, now, SW_METER_SECOND - 1, &w->before_ns, &unused);
	}
	WRITE_ONCE(w->slots[i].ns, w->slots[i].ns + ns);
	WRITE_ONCE(w->slots[i].hits, w->slots[i].hits + hits);
	return is_new;
}

/* About an eighth goes with each slot. */
static u64 meter_faded(const struct sw_meter *m, u32 now)
{
	u64 ns = READ_ONCE(m->recent_ns);
	u32 age = now - READ_ONCE(m->slot);

	for (; age && ns; age--)
		ns -= (ns + 7) / 8;
	return ns;
}

/* The probe that spent most lately: on this CPU, or on all. */
static u32 meter_costliest(struct sw_context *c, u32 now)
{
	u32 i, lane, found = SW_NO_PROBE;
	u64 most = 0;

	for (i = 0; i < sw_script.nr_probes; i++) {
		u64 ns = 0;

		if (c)
			ns = meter_faded(&sw_meters(c)[i], now);
		else
			sw_for_each_lane(lane)
				ns += meter_faded(&sw_meters(sw_lane_areas[lane])[i], now);
		if (ns > most) {
			most = ns;
			found = i;
		}
	}
	return found;
}

static void meter_check_all(struct sw_context *c, u32 now)
{
	u64 ns = 0, hits = 0, ppm = READ_ONCE(meter_cpu_ppm), most = READ_ONCE(meter_hits);
	u32 lane;

	if (ppm == METER_NONE && most == METER_NONE)
		return;
	if ((s32)(now - READ_ONCE(meter_added_up)) <= 0 || sw_exchange(&meter_added_up, now) == now)
		return; /* another CPU did */
	sw_for_each_lane(lane) {
		const struct sw_context *other = sw_lane_areas[lane];

		meter_sum(&other->window, now, SW_METER_SECOND, &ns, &hits);
	}
	ns = ns / 1000 / sw_online_cpus();
	if (ns > ppm)
		sw_disarm(c, SW_BREACH_CPU, meter_costliest(NULL, now), ns, ppm);
	else if (hits > most)
		sw_disarm(c, SW_BREACH_HIT_RATE, meter_costliest(NULL, now), hits, most);
}

static void meter_check_hit(struct sw_context *c, struct sw_meter *m, u64 cost)
{
	u64 most = READ_ONCE(meter_hit_ns);
	bool again = m->late;

	m->late -= again;
	if (cost <= most)
		return;
	m->late = METER_CONFIRM;
	if (again)
		sw_disarm(c, SW_BREACH_HIT_TIME, c->sample.probe, cost, most);
}

/* Budgets are for the time in which the script runs: not for begin probes, which may take long. */
static void meter_charge(struct sw_context *c, struct sw_meter *m, u64 ns, u64 hits)
{
	struct sw_window *w = &c->window;
	u32 now = sw_meter_slot();
	bool is_new = meter_spend(w, now, ns, hits);
	u64 spent = w->before_ns + w->slots[now % SW_METER_SLOTS].ns;

	m->recent_ns = meter_faded(m, now) + ns;
	m->slot = now;
	if (spent > READ_ONCE(meter_one_cpu_ns))
		/* rounded up: more than the limit in millionths, too */
		sw_disarm(c, SW_BREACH_ONE_CPU, meter_costliest(c, now), (spent + 999) / 1000,
			  READ_ONCE(meter_one_cpu_ns) / 1000);
	else if (is_new)
		meter_check_all(c, now);
}

static void meter_take(struct sw_context *c, u64 cycles)
{
	u32 probe = c->sample.probe;
	struct sw_meter *m = &sw_meters(c)[probe];
	struct sw_probe_counts *counts =
		(struct sw_probe_counts *)((char *)c + sw_script.lane_offset +
					   sw_script.probe_counts) +
		probe;
	u64 cost = sw_meter_cost(probe, cycles), hits = counts->hits - m->hits, ns;

	if (c->sample.late)
		cost += METER_HALF_LOOK_NS;
	m->hits = counts->hits;
	if (sw_state() == SW_RUNNING)
		meter_check_hit(c, m, cost);
	ns = meter_add(c, m, cost, &counts->cpu_ns);
	if (sw_state() == SW_RUNNING)
		meter_charge(c, m, ns, hits);
}

/* sw_leave() has taken one from @busy, which is 1 now. A sample of no probe is of the meter itself. */
sw_saves_registers void sw_meter_leave(void)
{
	u64 end = sw_meter_clock();
	struct sw_context *c = sw_this_cpu_area();

	if (c->sample.probe == SW_NO_PROBE)
		c->sample.start = end - c->sample.start;
	else
		meter_take(c, end - c->sample.start);
	barrier();
	WRITE_ONCE(c->busy, 0);
}

u64 sw_meter_overhead(struct sw_context *c)
{
	u64 least = METER_NONE;
	u32 i;

	for (i = 0; i < 16; i++) {
		c->sample.probe = SW_NO_PROBE;
		sw_call_quietly(sw_meter_enter);
		sw_call_quietly(sw_meter_leave);
		least = meter_least(least, c->sample.start);
	}
	return least;
}
