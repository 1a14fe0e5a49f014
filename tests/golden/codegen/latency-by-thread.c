/* latency_by_thread: made from latency-by-thread by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct row_latency {
	s64 sum;
	u64 buckets[65];
} __aligned(8);

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[2];
	struct sw_lane_counts counts;
	struct row_latency latency;
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[2];
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[2];
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 80, "counts");
_Static_assert(offsetof(struct lane, latency) == 104, "latency");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");

static const struct sw_stat_layout layout_latency __maybe_unused = {
	.count = SW_NO_WORD,
	.sum = 0,
	.min = SW_NO_WORD,
	.max = SW_NO_WORD,
	.mean = SW_NO_WORD,
	.m2 = SW_NO_WORD,
	.buckets = 1,
	.nr_buckets = 65,
};

static __always_inline void fill_latency(struct row_latency *row, s64 value)
{
	row->sum += value;
	row->buckets[sw_log2_bucket(value)]++;
}

/* tapset/functions/clock.stp:5: function gettimeofday_ns */
static s64 fn_gettimeofday_ns(struct sw_context *c __maybe_unused)
{
	s64 STAP_RETVALUE = 0;

	STAP_RETVALUE = (s64)sw_clock_real();
	return STAP_RETVALUE;
}

struct entry_1 {
	s64 v0;
};

/* latency-by-thread.stp:3:7: at the entry of kernel.function("vfs_read").return */
static int entry_1(void *instance, struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct entry_1 *entry = SW_RETURN_DATA(instance);
	struct sw_context *c;

	if (!a)
		return 1;
	c = &a->c;
	entry->v0 = fn_gettimeofday_ns(c);
	sw_leave(&a->c);
	return 0;
}

/* latency-by-thread.stp:3:7: probe kernel.function("vfs_read").return */
static int probe_1(void *instance, struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 1);
	struct sw_context *c;
	const struct entry_1 *entry = SW_RETURN_DATA(instance);

	if (!a)
		return 0;
	c = &a->c;
	fill_latency(&a->lane.latency, fn_gettimeofday_ns(c) - entry->v0);
	sw_leave(&a->c);
	return 0;
}
