/* regex: made from regex by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct key_shells {
	char execname[16];
} __aligned(8);

struct slot_shells {
	struct sw_slot slot;
	struct key_shells key;
};

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[1];
	struct sw_lane_counts counts;
	u64 shells_dropped;
	s64 shells[2048];
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[1];
	u32 shells_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_shells slots[2048];
	} shells;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[1];
	struct { char text_0[16]; struct key_shells key_1; } frame_probe_0;
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 40, "counts");
_Static_assert(offsetof(struct lane, shells_dropped) == 64, "shells_dropped");
_Static_assert(offsetof(struct lane, shells) == 72, "shells");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, shells_lock) == 16, "shells_lock");
_Static_assert(offsetof(struct shared, shells) == 24, "shells");

/* Out of line: a stack protector, if any, is paid here and not at each hit. */
static noinline u32 append_shells(struct area *a, struct shared *s, const struct key_shells *key)
{
	u32 n = sw_array_find(&SW_ARRAY(s->shells), key);

	if (n)
		return n;
	n = sw_array_append(&SW_ARRAY(s->shells), key, &s->shells_lock);
	if (unlikely(!n))
		a->lane.shells_dropped++;
	return n;
}

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static __always_inline u32 add_shells(struct area *a, struct shared *s, const struct key_shells *key)
{
	u32 n = sw_array_find_near(&SW_ARRAY(s->shells), key);

	return likely(n) ? n : append_shells(a, s, key);
}

/* "^(ba|da|z)\077sh$" */
static const u8 classes_0[256] = {
	[1 ... '`'] = 1, ['a'] = 2, ['b'] = 3, ['c'] = 1, ['d'] = 4, ['e' ... 'g'] = 1,
	['h'] = 5, ['i' ... 'r'] = 1, ['s'] = 6, ['t' ... 'y'] = 1, ['z'] = 7,
	['{' ... 255] = 1,
};

static const u8 next_0[][8] = {
	{ 0, 0, 0, 0, 0, 0, 0, 0 },
	{ 1, 1, 1, 1, 1, 1, 1, 1 },
	{ 0, 0, 0, 3, 3, 0, 4, 5 },
	{ 0, 0, 5, 0, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 6, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 4, 0 },
	{ 1, 0, 0, 0, 0, 0, 0, 0 },
};

static bool match_0(struct sw_context *c, const char *s)
{
	u32 state = 2, at = 0;

	for (; state > 1; at++) {
		state = next_0[state][classes_0[(u8)s[at]]];
		if (state > 1 && !sw_charge_step(c, at, 3))
			break;
	}
	return state == 1;
}

/* tapset/functions/task.stp:5: function execname */
static void fn_execname(struct sw_context *c __maybe_unused, char *STAP_RETVALUE)
{
	STAP_RETVALUE[0] = 0;
	sw_execname(STAP_RETVALUE);
}

/* regex.stp:2:7: probe kernel.function("vfs_read") */
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
	fn_execname(c, f->text_0);
	if (match_0(c, f->text_0)) {
		fn_execname(c, f->key_1.execname);
		n1 = add_shells(a, s, &f->key_1);
		if (likely(n1))
			a->lane.shells[n1 - 1]++;
	}
	sw_leave(&a->c);
}
