/* shared_text: made from shared-text by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct row_last {
	char value[16];
} __aligned(8);

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[2];
	struct sw_lane_counts counts;
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[2];
	u32 last_lock;
	u32 last_sequence;
	struct row_last last;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[2];
	struct { char text_0[16]; } frame_probe_0;
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 80, "counts");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, last_lock) == 32, "last_lock");
_Static_assert(offsetof(struct shared, last_sequence) == 36, "last_sequence");
_Static_assert(offsetof(struct shared, last) == 40, "last");

/* tapset/functions/task.stp:5: function execname */
static void fn_execname(struct sw_context *c __maybe_unused, char *STAP_RETVALUE)
{
	STAP_RETVALUE[0] = 0;
	sw_execname(STAP_RETVALUE);
}

/* shared-text.stp:2:7: probe kernel.function("vfs_read") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct sw_context *c;
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_0) *f;

	if (!a)
		return;
	c = &a->c;
	f = &a->frame_probe_0;
	if (unlikely(!sw_lock(&s->last_lock, 1))) {
		a->lane.probes[0].skipped_lock++;
		goto unlock_0;
	}
	sw_write_begin(&s->last_sequence);
	fn_execname(c, f->text_0);
	sw_copy(c, s->last.value, sizeof(s->last.value), f->text_0);
	sw_write_end(&s->last_sequence);
	sw_unlock(&s->last_lock);
unlock_0:
	sw_leave(&a->c);
}

/* shared-text.stp:3:7: probe kernel.function("vfs_write") */
static void probe_1(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 1);
	struct sw_context *c;
	struct shared *s = sw_shared;
	u8 *record;

	if (!a)
		return;
	c = &a->c;
	sw_prepare(&a->c, 1, 256, regs);
	if (unlikely(!sw_lock(&s->last_lock, 1))) {
		a->lane.probes[1].skipped_lock++;
		goto unlock_0;
	}
	record = sw_event_begin(c, SW_EVENT_PRINT, 0, 24);
	if (record) {
		record = sw_event_string(record, s->last.value, 16);
		sw_event_commit(c, record);
	}
	sw_unlock(&s->last_lock);
unlock_0:
	sw_leave(&a->c);
}
