/* histogram: made from histogram by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct row_size {
	s64 sum;
	u64 buckets[65];
} __aligned(8);

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[1];
	struct sw_lane_counts counts;
	struct row_size size;
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[1];
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[1];
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 40, "counts");
_Static_assert(offsetof(struct lane, size) == 64, "size");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");

static const struct sw_stat_layout layout_size __maybe_unused = {
	.count = SW_NO_WORD,
	.sum = 0,
	.min = SW_NO_WORD,
	.max = SW_NO_WORD,
	.mean = SW_NO_WORD,
	.m2 = SW_NO_WORD,
	.buckets = 1,
	.nr_buckets = 65,
};

static __always_inline void fill_size(struct row_size *row, s64 value)
{
	row->sum += value;
	row->buckets[sw_log2_bucket(value)]++;
}

/* histogram.stp:2:7: probe kernel.function("vfs_read") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);

	if (!a)
		return;
	fill_size(&a->lane.size, (s64)SW_ARG2(regs));
	sw_leave(&a->c);
}
