/* count_by_key: made from count-by-key by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct key_reads {
	char execname[16];
} __aligned(8);

struct slot_reads {
	struct sw_slot slot;
	struct key_reads key;
};

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[1];
	struct sw_lane_counts counts;
	u64 reads_dropped;
	s64 reads[2048];
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[1];
	u32 reads_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_reads slots[2048];
	} reads;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[1];
	struct { struct key_reads key_0; } frame_probe_0;
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 40, "counts");
_Static_assert(offsetof(struct lane, reads_dropped) == 64, "reads_dropped");
_Static_assert(offsetof(struct lane, reads) == 72, "reads");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, reads_lock) == 16, "reads_lock");
_Static_assert(offsetof(struct shared, reads) == 24, "reads");

/* Out of line: a stack protector, if any, is paid here and not at each hit. */
static noinline u32 append_reads(struct area *a, struct shared *s, const struct key_reads *key)
{
	u32 n = sw_array_find(&SW_ARRAY(s->reads), key);

	if (n)
		return n;
	n = sw_array_append(&SW_ARRAY(s->reads), key, &s->reads_lock);
	if (unlikely(!n))
		a->lane.reads_dropped++;
	return n;
}

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static __always_inline u32 add_reads(struct area *a, struct shared *s, const struct key_reads *key)
{
	u32 n = sw_array_find_near(&SW_ARRAY(s->reads), key);

	return likely(n) ? n : append_reads(a, s, key);
}

/* tapset/functions/task.stp:5: function execname */
static void fn_execname(struct sw_context *c __maybe_unused, char *STAP_RETVALUE)
{
	STAP_RETVALUE[0] = 0;
	sw_execname(STAP_RETVALUE);
}

/* count-by-key.stp:2:7: probe kernel.function("vfs_read") */
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
	fn_execname(c, f->key_0.execname);
	n1 = add_reads(a, s, &f->key_0);
	if (likely(n1))
		a->lane.reads[n1 - 1]++;
	sw_leave(&a->c);
}
