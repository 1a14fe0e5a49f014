/* wildcard: made from wildcard by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct key_by {
	char probefunc[128];
} __aligned(8);

struct slot_by {
	struct sw_slot slot;
	struct key_by key;
};

struct row_sizes {
	s64 sum;
	u64 buckets[65];
} __aligned(8);

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[2];
	struct sw_lane_counts counts;
	s64 n;
	u64 by_dropped;
	s64 by[2048];
	struct row_sizes sizes;
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[6];
	u32 by_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_by slots[2048];
	} by;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[2];
	struct { struct key_by key_0; char text_1[128]; } frame_probe_0;
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 80, "counts");
_Static_assert(offsetof(struct lane, n) == 104, "n");
_Static_assert(offsetof(struct lane, by_dropped) == 112, "by_dropped");
_Static_assert(offsetof(struct lane, by) == 120, "by");
_Static_assert(offsetof(struct lane, sizes) == 16504, "sizes");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, by_lock) == 96, "by_lock");
_Static_assert(offsetof(struct shared, by) == 104, "by");

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static noinline u32 add_by(struct area *a, struct shared *s, const struct key_by *key)
{
	const struct sw_array array = SW_ARRAY(s->by);
	u32 n = sw_array_find_long(&array, key);

	if (likely(n))
		return n;
	n = sw_array_append(&array, key, &s->by_lock);
	if (unlikely(!n))
		a->lane.by_dropped++;
	return n;
}

static const struct sw_stat_layout layout_sizes __maybe_unused = {
	.count = SW_NO_WORD,
	.sum = 0,
	.min = SW_NO_WORD,
	.max = SW_NO_WORD,
	.mean = SW_NO_WORD,
	.m2 = SW_NO_WORD,
	.buckets = 1,
	.nr_buckets = 65,
};

static __always_inline void fill_sizes(struct row_sizes *row, s64 value)
{
	row->sum += value;
	row->buckets[sw_log2_bucket(value)]++;
}

/* tapset/functions/probed.stp:4: function __probed_function */
static void fn___probed_function_(struct sw_context *c __maybe_unused, char *STAP_RETVALUE)
{
	STAP_RETVALUE[0] = 0;
	sw_charge_late(c, 4);
	sw_probed_function(c, STAP_RETVALUE, 128);
}

/* wildcard.stp:3:7: probe kernel.function("vfs_*") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct sw_context *c;
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_0) *f;
	u32 n1;

	if (!a)
		return;
	c = &a->c;
	f = &a->frame_probe_0;
	sw_prepare(&a->c, 0, 256, regs);
	a->c.address = ip;
	a->lane.n++;
	fn___probed_function_(c, f->text_1);
	if (unlikely(c->error)) {
		c->error_site = 0;
		goto fail;
	}
	sw_copy_key(c, f->key_0.probefunc, sizeof(f->key_0.probefunc), f->text_1);
	if (unlikely(c->error)) {
		c->error_site = 1;
		goto fail;
	}
	n1 = add_by(a, s, &f->key_0);
	if (likely(n1))
		a->lane.by[n1 - 1]++;
	goto out;
fail:
	sw_failed(&a->c, &a->lane.probes[0]);
out:
	sw_leave(&a->c);
}

/* wildcard.stp:4:7: probe kernel.function("vfs_*") */
static void probe_1(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 1);

	if (!a)
		return;
	fill_sizes(&a->lane.sizes, (s64)SW_ARG2(regs));
	sw_leave(&a->c);
}

static const struct sw_function functions_0[] = {
	{ "vfs_read", 0 },
	{ "vfs_write", 0 },
};

static const struct sw_function functions_1[] = {
	{ "vfs_read", 0 },
	{ "vfs_write", 0 },
};
