/* regex_captures: made from regex-captures by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct key_threads {
	char key1[512];
} __aligned(8);

struct slot_threads {
	struct sw_slot slot;
	struct key_threads key;
};

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[1];
	struct sw_lane_counts counts;
	u64 threads_dropped;
	s64 threads[2048];
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[1];
	u32 threads_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_threads slots[2048];
	} threads;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[1];
	struct { char text_0[16]; struct key_threads key_1; char text_2[512]; } frame_probe_0;
	struct { s32 tags[4]; char text[MAXSTRINGLEN]; } match;
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 40, "counts");
_Static_assert(offsetof(struct lane, threads_dropped) == 64, "threads_dropped");
_Static_assert(offsetof(struct lane, threads) == 72, "threads");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, threads_lock) == 16, "threads_lock");
_Static_assert(offsetof(struct shared, threads) == 24, "threads");

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static noinline u32 add_threads(struct area *a, struct shared *s, const struct key_threads *key)
{
	const struct sw_array array = SW_ARRAY(s->threads);
	u32 n = sw_array_find_long(&array, key);

	if (likely(n))
		return n;
	n = sw_array_append(&array, key, &s->threads_lock);
	if (unlikely(!n))
		a->lane.threads_dropped++;
	return n;
}

/* "^kworker/([0-9]+):" */
static const u8 classes_0[256] = {
	[1 ... '.'] = 1, ['/'] = 2, ['0' ... '9'] = 3, [':'] = 4, [';' ... 'd'] = 1,
	['e'] = 5, ['f' ... 'j'] = 1, ['k'] = 6, ['l' ... 'n'] = 1, ['o'] = 7,
	['p' ... 'q'] = 1, ['r'] = 8, ['s' ... 'v'] = 1, ['w'] = 9, ['x' ... 255] = 1,
};

static const u8 next_0[][10] = {
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 2, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 3 },
	{ 0, 0, 0, 0, 0, 0, 0, 4, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 5, 0 },
	{ 0, 0, 0, 0, 0, 0, 6, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 7, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 8, 0 },
	{ 0, 0, 9, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 10, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 10, 0, 0, 0, 0, 0, 0 },
};

static const u8 moves_0[][10] = {
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 2, 0, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 2, 3, 0, 0, 0, 0, 0 },
};

static bool match_0(struct area *a, const char *s)
{
	s32 *tags = a->match.tags;
	u32 state = 1, at;
	s32 r0 = 0, r1 = 0, r2 = 0;

	tags[0] = -1;
	r0 = 0;
	for (at = 0; state; at++) {
		u32 class = classes_0[(u8)s[at]];

		switch (moves_0[state][class]) {
		case 1:
			r1 = (s32)at + 1;
			break;
		case 2:
			r2 = (s32)at + 1;
			break;
		case 3:
			tags[0] = r0;
			tags[1] = (s32)at + 1;
			tags[2] = r1;
			tags[3] = r2;
			break;
		}
		state = next_0[state][class];
		if (state && !sw_charge_step(&a->c, at, 6))
			break;
	}
	return sw_matched_keep(&a->c, a->match.text, sizeof(a->match.text), s, tags, 2);
}

/* tapset/functions/task.stp:5: function execname */
static void fn_execname(struct sw_context *c __maybe_unused, char *STAP_RETVALUE)
{
	STAP_RETVALUE[0] = 0;
	sw_execname(STAP_RETVALUE);
}

/* tapset/functions/regex.stp:5: function matched */
static void fn_matched(struct sw_context *c __maybe_unused, char *STAP_RETVALUE, s64 STAP_ARG_n)
{
	STAP_RETVALUE[0] = 0;
	sw_matched(c, STAP_RETVALUE, MAXSTRINGLEN, STAP_ARG_n);
}

/* regex-captures.stp:2:7: probe kernel.function("vfs_read") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct sw_context *c;
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_0) *f;
	s64 t1;
	u32 n2;

	if (!a)
		return;
	c = &a->c;
	f = &a->frame_probe_0;
	sw_prepare(&a->c, 0, 256, regs);
	c->match.groups = 0;
	fn_execname(c, f->text_0);
	t1 = match_0(a, f->text_0);
	if (t1) {
		fn_matched(c, f->text_2, 1);
		if (unlikely(c->error)) {
			c->error_site = 0;
			goto fail;
		}
		sw_copy_key(c, f->key_1.key1, sizeof(f->key_1.key1), f->text_2);
		if (unlikely(c->error)) {
			c->error_site = 1;
			goto fail;
		}
		n2 = add_threads(a, s, &f->key_1);
		if (likely(n2))
			a->lane.threads[n2 - 1]++;
	}
	goto out;
fail:
	sw_failed(&a->c, &a->lane.probes[0]);
out:
	sw_leave(&a->c);
}
