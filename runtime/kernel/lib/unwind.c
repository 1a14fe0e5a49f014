// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The walk up a program's stack by unwind tables.
 *
 * Everything that is read belongs to the process, which may have put anything there: each read is
 * fault-safe, and each loop is bounded and paid for. A wrong word makes a wrong backtrace, no more.
 */
#include "core/runtime.h"
#include "lib/fault_safe.h"

/* Entries of the dynamic linker's list that are looked at. */
#define UNWIND_MOST_LINKS 128
/* Build-ids that are read: that of each file, and a few of files that look alike. */
#define UNWIND_MOST_CHECKS (SW_UNWIND_MOST_FILES + 8)
#define UNWIND_MOST_ID	   32
/* Actions for a frame, for an entry of the list, for a file that may be the one. */
#define UNWIND_FRAME 10
#define UNWIND_LINK  4
#define UNWIND_FILE  10
/* Where the dynamic linker's struct r_debug has the address of its list. */
#define UNWIND_LIST 8

/* The dynamic linker's struct link_map, as far as debuggers know it. */
struct unwind_link {
	u64 bias, name, dynamic, next;
};

static bool unwind_read(u64 *to, u64 at)
{
	return !sw_fetch_user(to, at, sizeof(*to));
}

static void unwind_check(struct sw_context *c, struct sw_unwinder *u, u32 number, u64 bias)
{
	const struct sw_unwind_table *t = &sw_script.unwind[number];
	u8 id[UNWIND_MOST_ID];

	if (t->id_size > sizeof(id) || !sw_charge(c, UNWIND_FILE))
		return;
	if (sw_fetch_user(id, bias + t->id_at, t->id_size) ||
	    __builtin_memcmp(id, t->id, t->id_size))
		return;
	u->bias[number] = bias;
	u->found |= 1u << number;
}

/* The program itself. Returns the address of the linker's list; 0: there is none. */
static u64 unwind_program(struct sw_context *c, struct sw_unwinder *u, u64 headers)
{
	u32 i;

	for (i = 0; i < sw_script.nr_unwind && !u->found; i++) {
		const struct sw_unwind_table *t = &sw_script.unwind[i];
		u64 bias = headers - t->headers, at, list;

		if (!t->headers || bias % 4096)
			continue;
		unwind_check(c, u, i, bias);
		if (u->found && t->debug && unwind_read(&at, bias + t->debug) && at &&
		    unwind_read(&list, at + UNWIND_LIST))
			return list;
	}
	return 0;
}

void sw_unwind_locate(struct sw_context *c, struct sw_unwinder *u, u64 headers)
{
	u32 n = sw_script.nr_unwind, checks = 0, i, links;
	struct unwind_link link;
	u64 at;

	u->found = 0;
	if (!headers)
		return;
	at = unwind_program(c, u, headers);
	for (links = 0; at && links < UNWIND_MOST_LINKS; links++, at = link.next) {
		if (!sw_charge(c, UNWIND_LINK) || sw_fetch_user(&link, at, sizeof(link)))
			return;
		for (i = 0; i < n; i++) {
			const struct sw_unwind_table *t = &sw_script.unwind[i];

			if (!(u->found & 1u << i) && t->dynamic &&
			    link.dynamic - link.bias == t->dynamic && checks++ < UNWIND_MOST_CHECKS)
				unwind_check(c, u, i, link.bias);
		}
	}
}

/* The rule of an address; NULL: it is in none of the files. */
static const struct sw_unwind_rule *unwind_rule(const struct sw_unwinder *u, u64 pc)
{
	u32 i;

	for (i = 0; i < sw_script.nr_unwind; i++) {
		const struct sw_unwind_table *t = &sw_script.unwind[i];
		u64 distance = pc - u->bias[i] - t->start;
		u32 low = 0, high = t->nr_rows;

		if (!(u->found & 1u << i) || !high || distance >= t->pcs[high - 1])
			continue;
		while (high - low > 1) {
			u32 middle = low + (high - low) / 2;

			if (t->pcs[middle] <= distance)
				low = middle;
			else
				high = middle;
		}
		return &t->rules[t->numbers[low]];
	}
	return NULL;
}

static bool unwind_cfa(const struct sw_unwinder *u, const struct sw_unwind_rule *r, u64 *cfa)
{
	switch (r->kind) {
	case SW_UNWIND_SP:
		*cfa = u->stack + (s64)r->offset;
		return true;
	case SW_UNWIND_FP:
		*cfa = u->frame + (s64)r->offset;
		return true;
	case SW_UNWIND_SP_DEREF:
	case SW_UNWIND_FP_DEREF:
		if (!unwind_read(cfa, (r->kind == SW_UNWIND_SP_DEREF ? u->stack : u->frame) +
					      (s64)r->offset))
			return false;
		*cfa += (s64)r->add;
		return true;
	case SW_UNWIND_PLT:
		*cfa = u->stack + 8 + ((u->ip & 15) >= (u64)(s64)r->offset ? 8 : 0);
		return true;
	default:
		return false;
	}
}

/* The signal's frame has the registers of the instruction that it interrupted. */
static enum sw_unwind_step unwind_signal(struct sw_unwinder *u)
{
	u64 ip, stack, frame;

	if (!unwind_read(&ip, u->stack + SW_SIGNAL_IP) ||
	    !unwind_read(&stack, u->stack + SW_SIGNAL_SP) ||
	    !unwind_read(&frame, u->stack + SW_SIGNAL_FP))
		return SW_UNWIND_LOST;
	u->ip = ip;
	u->stack = stack;
	u->frame = frame;
	u->is_call = false;
	return SW_UNWIND_CALLER;
}

enum sw_unwind_step sw_unwind_step(struct sw_context *c, struct sw_unwinder *u)
{
	const struct sw_unwind_rule *r;
	u64 cfa, ip, frame = u->frame;

	if (!u->found)
		return SW_UNWIND_NO_TABLE;
	if (!sw_charge(c, UNWIND_FRAME))
		return SW_UNWIND_LOST;
	r = unwind_rule(u, u->ip - u->is_call);
	if (!r)
		return SW_UNWIND_NO_TABLE;
	if (r->kind == SW_UNWIND_OUTERMOST)
		return SW_UNWIND_END;
	if (r->kind == SW_UNWIND_SIGNAL)
		return unwind_signal(u);
	/* the stack grows down: a caller's frame is above */
	if (!unwind_cfa(u, r, &cfa) || cfa <= u->stack || !unwind_read(&ip, cfa - 8))
		return SW_UNWIND_LOST;
	if (r->frame != SW_UNWIND_FRAME_SAME &&
	    !unwind_read(&frame, (r->frame == SW_UNWIND_FRAME_AT_CFA ? cfa : u->frame) +
					 (s64)r->frame_offset))
		return SW_UNWIND_LOST;
	ip = sw_unwind_return(c, u, cfa - 8, ip);
	if (!ip)
		return SW_UNWIND_END;
	u->ip = ip;
	u->stack = cfa;
	u->frame = frame;
	u->is_call = true;
	return SW_UNWIND_CALLER;
}
