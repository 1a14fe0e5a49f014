// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The meters under a clock that the test moves. Standard input has a line for each group of
 * equal hits, and one for new budgets:
 *
 *   hits NUMBER LANE SLOT PROBE COST LOOKS      COST: cycles; LOOKS: pieces of work that it pays for
 *   budgets CPU_PPM ONE_CPU_PPM HIT_NS HITS_PER_SECOND
 *
 * Prints a line for each disarming, after which the script is armed again, and one for each probe:
 *
 *   disarmed HITS BREACH PROBE VALUE LIMIT      HITS: of all lines so far
 *   probe CPU_NS HITS TIMED
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stapwatch.h"
#include "core/meter.h"

#define LANES  3
#define PROBES 3

struct area {
	struct sw_context c;
	struct sw_meter meters[PROBES];
	struct {
		struct sw_probe_counts probes[PROBES];
	} lane __aligned(4096);
};

const struct sw_script sw_script = {
	.nr_probes = PROBES,
	.lane_offset = offsetof(struct area, lane),
};

__thread void *sw_user_area;
void *sw_lanes[LANES];
void **sw_lane_areas = sw_lanes;
void **sw_areas;
u32 sw_nr_lanes = LANES;

static u64 clock_now, hits_so_far, timed[PROBES];
static u32 slot, state = SW_RUNNING;

u64 sw_meter_clock(void)
{
	return clock_now;
}

u64 sw_meter_cost(u32 probe, u64 cycles)
{
	timed[probe]++;
	return cycles;
}

u32 sw_meter_slot(void)
{
	return slot;
}

u32 sw_online_cpus(void)
{
	return LANES;
}

u32 sw_state(void)
{
	return state;
}

bool sw_disarm(struct sw_context *c, enum sw_breach breach, u32 probe, u64 value, u64 limit)
{
	if (state != SW_RUNNING)
		return false;
	state = SW_DISARMED;
	printf("disarmed %llu %d %u %llu %llu\n", hits_so_far, breach, probe, value, limit);
	return true;
}

void sw_hit_skipped(struct sw_context *c, struct sw_probe_counts *counts)
{
	abort();
}

static void hit(u32 probe, u64 cost, u32 looks)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), probe);
	u32 i;

	hits_so_far++;
	sw_prepare(&a->c, probe, 1, NULL);
	for (i = 0; i < looks; i++) {
		clock_now += cost / (looks + 1);
		sw_meter_heavy(&a->c);
	}
	clock_now += cost - looks * (cost / (looks + 1));
	sw_leave(&a->c);
	if (a->c.busy)
		abort();
}

static void arm(void)
{
	u32 lane;

	sw_for_each_lane(lane)
		sw_meters_forget(sw_lanes[lane]);
	state = SW_RUNNING;
}

static void print_probe(u32 probe)
{
	u64 ns = 0, hits = 0;
	u32 lane;

	sw_for_each_lane(lane) {
		const struct area *a = sw_lanes[lane];

		ns += a->lane.probes[probe].cpu_ns;
		hits += a->lane.probes[probe].hits;
	}
	printf("probe %llu %llu %llu\n", ns, hits, timed[probe]);
}

int main(void)
{
	struct sw_budgets b;
	u64 number, cost;
	u32 lane, probe, looks;
	char word[16];

	sw_for_each_lane(lane) {
		sw_lanes[lane] = aligned_alloc(4096, sizeof(struct area));
		memset(sw_lanes[lane], 0, sizeof(struct area));
		sw_meters_init(sw_lanes[lane]);
	}
	while (scanf("%15s", word) == 1) {
		if (word[0] == 'b') {
			if (scanf("%llu %llu %llu %llu", &b.cpu_ppm, &b.one_cpu_ppm, &b.hit_ns,
				  &b.hits_per_second) != 4)
				return 2;
			sw_meters_limit(&b);
			continue;
		}
		if (scanf("%llu %u %u %u %llu %u", &number, &lane, &slot, &probe, &cost, &looks) !=
		    6)
			return 2;
		sw_user_area = sw_lanes[lane];
		while (number--) {
			hit(probe, cost, looks);
			if (state != SW_RUNNING)
				arm();
		}
	}
	for (probe = 0; probe < PROBES; probe++)
		print_probe(probe);
	for (lane = 0; lane < LANES; lane++)
		free(sw_lanes[lane]);
	return 0;
}
