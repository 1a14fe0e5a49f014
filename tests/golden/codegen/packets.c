/* packets: made from packets by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct row_lengths {
	s64 sum;
	u64 buckets[65];
} __aligned(8);

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[2];
	struct sw_lane_counts counts;
	s64 dropped;
	struct row_lengths lengths;
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
_Static_assert(offsetof(struct lane, dropped) == 104, "dropped");
_Static_assert(offsetof(struct lane, lengths) == 112, "lengths");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");

static const struct sw_stat_layout layout_lengths __maybe_unused = {
	.count = SW_NO_WORD,
	.sum = 0,
	.min = SW_NO_WORD,
	.max = SW_NO_WORD,
	.mean = SW_NO_WORD,
	.m2 = SW_NO_WORD,
	.buckets = 1,
	.nr_buckets = 65,
};

static __always_inline void fill_lengths(struct row_lengths *row, s64 value)
{
	row->sum += value;
	row->buckets[sw_log2_bucket(value)]++;
}

/* packets.stp:3:7: probe netfilter.hook("NF_INET_LOCAL_IN").pf("NFPROTO_IPV4").priority("NF_IP_PRI_FIRST") */
static u32 probe_0(u64 arg0, u64 arg1, u64 arg2, u64 arg3)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct sw_context *c;
	u32 verdict = SW_ACCEPT;
	u64 t1;
	u64 t2;

	if (!a)
		return SW_ACCEPT;
	c = &a->c;
	sw_prepare(&a->c, 0, 256, NULL);
	t1 = sw_kernel_read(c, (s64)arg1, 4);
	if (unlikely(c->error)) {
		c->error_site = 0;
		goto fail;
	}
	fill_lengths(&a->lane.lengths, (s64)(u32)t1);
	t2 = sw_kernel_read(c, (s64)arg1, 4);
	if (unlikely(c->error)) {
		c->error_site = 1;
		goto fail;
	}
	if ((s64)(u32)t2 > 1000) {
		verdict = 0;
		a->lane.dropped++;
	}
	goto out;
fail:
	sw_failed(&a->c, &a->lane.probes[0]);
out:
	sw_leave(&a->c);
	return verdict;
}

/* packets.stp:10:7: probe netfilter.pf("NFPROTO_ARP").hook("NF_ARP_IN") */
static u32 probe_1(u64 arg0, u64 arg1, u64 arg2, u64 arg3)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 1);

	if (!a)
		return SW_ACCEPT;
	fill_lengths(&a->lane.lengths, (s64)arg0);
	sw_leave(&a->c);
	return SW_ACCEPT;
}
