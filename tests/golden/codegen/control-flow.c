/* control_flow: made from control-flow by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[1];
	struct sw_lane_counts counts;
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[1];
	u32 slow_lock;
	s64 slow;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[1];
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 40, "counts");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, slow_lock) == 16, "slow_lock");
_Static_assert(offsetof(struct shared, slow) == 24, "slow");

/* control-flow.stp:3: function clamp */
static s64 fn_clamp(struct area *a, s64 ns)
{
	struct sw_context *c __maybe_unused = &a->c;
	struct shared *s __maybe_unused = sw_shared;
	s64 result = 0;

	if (ns > 1000) {
		result = 1000;
		goto out;
	}
	result = ns;
out:
	return result;
}

/* tapset/functions/task.stp:10: function pid */
static s64 fn_pid(struct sw_context *c __maybe_unused)
{
	s64 STAP_RETVALUE = 0;

	STAP_RETVALUE = sw_pid();
	return STAP_RETVALUE;
}

/* control-flow.stp:4:7: probe kernel.function("vfs_read") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct sw_context *c;
	struct shared *s = sw_shared;
	s64 t1;
	s64 t2;
	s64 t3;

	if (!a)
		return;
	c = &a->c;
	sw_prepare(&a->c, 0, 256, regs);
	if (unlikely(!sw_lock(&s->slow_lock, 1))) {
		a->lane.probes[0].skipped_lock++;
		goto unlock_0;
	}
	t1 = s->slow > 4;
	if (t1) {
		t2 = s->slow++;
		t1 = fn_clamp(a, t2) < 9;
	}
	if (t1) {
		goto out;
	}
	t3 = fn_pid(c);
	if (unlikely(!t3)) {
		sw_error(c, 0, "division by 0");
		goto caught_1;
	}
	s->slow = sw_divide(s->slow, t3);
	goto tried_2;
caught_1:
	c->error = NULL;
	s->slow = 0;
tried_2:
	;
out:
	sw_unlock(&s->slow_lock);
unlock_0:
	sw_leave(&a->c);
}
