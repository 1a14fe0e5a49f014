/* count: made from count by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[1];
	struct sw_lane_counts counts;
	s64 reads;
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
_Static_assert(offsetof(struct lane, reads) == 64, "reads");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");

/* count.stp:2:7: probe kernel.function("vfs_read") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);

	if (!a)
		return;
	a->lane.reads++;
	sw_leave(&a->c);
}
