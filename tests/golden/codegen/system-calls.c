/* system_calls: made from system-calls by stapwatch 0 */
#include <stapwatch.h>

#define MAXSTRINGLEN 512
#define MAXNESTING 10

struct key_split {
	s64 sys_arg1;
	s64 sys_arg4;
	s64 sys_arg5;
	s64 sys_arg6;
} __aligned(8);

struct slot_split {
	struct sw_slot slot;
	struct key_split key;
};

struct key_ids {
	s64 sys_arg2;
} __aligned(8);

struct slot_ids {
	struct sw_slot slot;
	struct key_ids key;
};

struct key_back {
	s64 sys_arg1;
	s64 return_;
	s64 sys_time;
} __aligned(8);

struct slot_back {
	struct sw_slot slot;
	struct key_back key;
};

/* What one CPU accumulates; readers map it. */
struct lane {
	struct sw_probe_counts probes[7];
	struct sw_lane_counts counts;
	u64 split_dropped;
	u64 ids_dropped;
	s64 ids[2048];
	u64 back_dropped;
	s64 back[2048];
};

/* What all CPUs share; readers map it. */
struct shared {
	struct sw_probe_status probes[7];
	u32 split_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_split slots[2048];
	} split;
	s64 split_values[2048];
	u32 ids_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_ids slots[2048];
	} ids;
	u32 back_lock;
	struct {
		struct sw_array_head head;
		u32 index[4096];
		struct slot_back slots[2048];
	} back;
};

/* One CPU's block. */
struct area {
	struct sw_context c;
	struct sw_meter meters[7];
	struct { struct key_split key_0; } frame_probe_0;
	struct { struct key_split key_0; } frame_probe_1;
	struct { struct key_ids key_0; } frame_probe_2;
	struct { struct key_ids key_0; } frame_probe_3;
	struct { struct key_back key_0; } frame_probe_4;
	struct { struct key_back key_0; } frame_probe_5;
	struct { struct key_ids key_0; } frame_probe_6;
	struct lane lane __aligned(4096);
};

_Static_assert(offsetof(struct lane, probes) == 0, "probes");
_Static_assert(offsetof(struct lane, counts) == 280, "counts");
_Static_assert(offsetof(struct lane, split_dropped) == 304, "split_dropped");
_Static_assert(offsetof(struct lane, ids_dropped) == 312, "ids_dropped");
_Static_assert(offsetof(struct lane, ids) == 320, "ids");
_Static_assert(offsetof(struct lane, back_dropped) == 16704, "back_dropped");
_Static_assert(offsetof(struct lane, back) == 16712, "back");
_Static_assert(offsetof(struct shared, probes) == 0, "probes");
_Static_assert(offsetof(struct shared, split_lock) == 112, "split_lock");
_Static_assert(offsetof(struct shared, split) == 120, "split");
_Static_assert(offsetof(struct shared, split_values) == 114832, "split_values");
_Static_assert(offsetof(struct shared, ids_lock) == 131216, "ids_lock");
_Static_assert(offsetof(struct shared, ids) == 131224, "ids");
_Static_assert(offsetof(struct shared, back_lock) == 196784, "back_lock");
_Static_assert(offsetof(struct shared, back) == 196792, "back");

/* Out of line: a stack protector, if any, is paid here and not at each hit. */
static noinline u32 insert_split(struct area *a, struct shared *s, const struct key_split *key)
{
	u32 n = sw_array_find(&SW_ARRAY(s->split), key);

	if (n)
		return n;
	n = sw_array_insert(&SW_ARRAY(s->split), key, NULL);
	if (unlikely(!n)) {
		a->lane.split_dropped++;
		return 0;
	}
	s->split_values[n - 1] = 0;
	sw_array_publish(&SW_ARRAY(s->split), n);
	return n;
}

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static __always_inline u32 put_split(struct area *a, struct shared *s, const struct key_split *key)
{
	u32 n = sw_array_find_near(&SW_ARRAY(s->split), key);

	return likely(n) ? n : insert_split(a, s, key);
}

/* Out of line: a stack protector, if any, is paid here and not at each hit. */
static noinline u32 append_ids(struct area *a, struct shared *s, const struct key_ids *key)
{
	u32 n = sw_array_find(&SW_ARRAY(s->ids), key);

	if (n)
		return n;
	n = sw_array_append(&SW_ARRAY(s->ids), key, &s->ids_lock);
	if (unlikely(!n))
		a->lane.ids_dropped++;
	return n;
}

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static __always_inline u32 add_ids(struct area *a, struct shared *s, const struct key_ids *key)
{
	u32 n = sw_array_find_near(&SW_ARRAY(s->ids), key);

	return likely(n) ? n : append_ids(a, s, key);
}

/* Out of line: a stack protector, if any, is paid here and not at each hit. */
static noinline u32 append_back(struct area *a, struct shared *s, const struct key_back *key)
{
	u32 n = sw_array_find(&SW_ARRAY(s->back), key);

	if (n)
		return n;
	n = sw_array_append(&SW_ARRAY(s->back), key, &s->back_lock);
	if (unlikely(!n))
		a->lane.back_dropped++;
	return n;
}

/* 1 + the slot of an element, a new one zero; 0: the array is full, and it is counted. */
static __always_inline u32 add_back(struct area *a, struct shared *s, const struct key_back *key)
{
	u32 n = sw_array_find_near(&SW_ARRAY(s->back), key);

	return likely(n) ? n : append_back(a, s, key);
}

/* system-calls.stp:3:7: probe kernel.syscall("preadv2") */
static void probe_0(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 0);
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_0) *f;
	u32 n1;

	if (!a)
		return;
	f = &a->frame_probe_0;
	if (unlikely(!sw_lock(&s->split_lock, 1))) {
		a->lane.probes[0].skipped_lock++;
		goto unlock_0;
	}
	f->key_0.sys_arg1 = (s64)SW_CALLER(regs)->di;
	f->key_0.sys_arg4 = (s64)SW_CALLER(regs)->r10;
	f->key_0.sys_arg5 = (s64)SW_CALLER(regs)->r8;
	f->key_0.sys_arg6 = (s64)SW_CALLER(regs)->r9;
	n1 = put_split(a, s, &f->key_0);
	if (likely(n1)) {
		s->split_values[n1 - 1] = 8;
	}
	sw_unlock(&s->split_lock);
unlock_0:
	sw_leave(&a->c);
}

/* system-calls.stp:3:7: probe kernel.syscall("preadv2") */
static void probe_1(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 1);
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_1) *f;
	s64 t1;
	u32 n2;

	if (!a)
		return;
	f = &a->frame_probe_1;
	if (unlikely(!sw_lock(&s->split_lock, 1))) {
		a->lane.probes[1].skipped_lock++;
		goto unlock_0;
	}
	f->key_0.sys_arg1 = (s64)(u32)SW_CALLER(regs)->bx;
	t1 = sw_shift_left((s64)(s32)SW_CALLER(regs)->di, 32);
	f->key_0.sys_arg4 = t1 | (s64)(u32)SW_CALLER(regs)->si;
	f->key_0.sys_arg5 = 0;
	f->key_0.sys_arg6 = (s64)(u32)SW_CALLER(regs)->bp;
	n2 = put_split(a, s, &f->key_0);
	if (likely(n2)) {
		s->split_values[n2 - 1] = 4;
	}
	sw_unlock(&s->split_lock);
unlock_0:
	sw_leave(&a->c);
}

/* system-calls.stp:4:7: probe kernel.syscall("chown") */
static void probe_2(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 2);
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_2) *f;
	u32 n1;

	if (!a)
		return;
	f = &a->frame_probe_2;
	f->key_0.sys_arg2 = (s64)SW_CALLER(regs)->si;
	n1 = add_ids(a, s, &f->key_0);
	if (likely(n1))
		a->lane.ids[n1 - 1]++;
	sw_leave(&a->c);
}

/* system-calls.stp:4:7: probe kernel.syscall("chown") */
static void probe_3(unsigned long ip, unsigned long parent_ip, void *ops,
		    struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 3);
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_3) *f;
	u32 n1;

	if (!a)
		return;
	f = &a->frame_probe_3;
	f->key_0.sys_arg2 = ((s64)(u32)SW_CALLER(regs)->cx + 1 & 65535) - 1;
	n1 = add_ids(a, s, &f->key_0);
	if (likely(n1))
		a->lane.ids[n1 - 1]++;
	sw_leave(&a->c);
}

struct entry_4 {
	s64 v0;
};

/* system-calls.stp:5:7: at the entry of kernel.function("__x64_sys_openat").return */
static int entry_4(void *instance, struct sw_regs *regs)
{
	struct area *a = sw_enter_quietly(offsetof(struct area, lane.probes), 4);
	struct entry_4 *entry = SW_RETURN_DATA(instance);

	if (!a)
		return 1;
	entry->v0 = (s64)SW_CALLER(regs)->di;
	sw_leave(&a->c);
	return 0;
}

/* system-calls.stp:5:7: probe kernel.syscall("openat").return */
static int probe_4(void *instance, struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 4);
	struct shared *s = sw_shared;
	const struct entry_4 *entry = SW_RETURN_DATA(instance);
	__typeof__(a->frame_probe_4) *f;
	u32 n1;

	if (!a)
		return 0;
	f = &a->frame_probe_4;
	f->key_0.sys_arg1 = entry->v0;
	f->key_0.return_ = (s64)SW_RETURN_VALUE(regs);
	f->key_0.sys_time = 8;
	n1 = add_back(a, s, &f->key_0);
	if (likely(n1))
		a->lane.back[n1 - 1]++;
	sw_leave(&a->c);
	return 0;
}

struct entry_5 {
	s64 v0;
};

/* system-calls.stp:5:7: at the entry of kernel.function("__ia32_compat_sys_openat").return */
static int entry_5(void *instance, struct sw_regs *regs)
{
	struct area *a = sw_enter_quietly(offsetof(struct area, lane.probes), 5);
	struct entry_5 *entry = SW_RETURN_DATA(instance);

	if (!a)
		return 1;
	entry->v0 = (s64)(u32)SW_CALLER(regs)->bx;
	sw_leave(&a->c);
	return 0;
}

/* system-calls.stp:5:7: probe kernel.syscall("openat").return */
static int probe_5(void *instance, struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 5);
	struct shared *s = sw_shared;
	const struct entry_5 *entry = SW_RETURN_DATA(instance);
	__typeof__(a->frame_probe_5) *f;
	u32 n1;

	if (!a)
		return 0;
	f = &a->frame_probe_5;
	f->key_0.sys_arg1 = entry->v0;
	f->key_0.return_ = (s64)SW_RETURN_VALUE(regs);
	f->key_0.sys_time = 8;
	n1 = add_back(a, s, &f->key_0);
	if (likely(n1))
		a->lane.back[n1 - 1]++;
	sw_leave(&a->c);
	return 0;
}

/* system-calls.stp:6:7: probe process.syscall */
static void probe_6(struct sw_regs *regs)
{
	struct area *a = sw_enter(offsetof(struct area, lane.probes), 6);
	struct shared *s = sw_shared;
	__typeof__(a->frame_probe_6) *f;
	s64 t1;
	u32 n2;

	if (!a)
		return;
	f = &a->frame_probe_6;
	t1 = (s64)SW_EITHER_REGISTER(regs, di, bx);
	f->key_0.sys_arg2 = t1 + (s64)SW_EITHER_REGISTER(regs, r9, bp);
	n2 = add_ids(a, s, &f->key_0);
	if (likely(n2))
		a->lane.ids[n2 - 1]++;
	sw_leave(&a->c);
}
