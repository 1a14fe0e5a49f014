// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Begin, end, error and input probes: nothing is attached, the module runs them
 * itself.
 *
 * A phase is run by whoever holds the control mutex, so two never run at once.
 */
#include <linux/sort.h>
#include "probes/hook.h"

static u32 *session_order; /* the phases' probes by order number, then in script order */
static u32 session_nr_probes;

const struct sw_hook_ops sw_session_ops = {};

/* Input probes have no order of their own: it is 0. */
static int session_compare(const void *a, const void *b)
{
	u32 i = *(const u32 *)a, j = *(const u32 *)b;
	s64 x = sw_script.probes[i].session.order, y = sw_script.probes[j].session.order;

	if (x != y)
		return x < y ? -1 : 1;
	return i < j ? -1 : 1;
}

int sw_phases_create(void)
{
	u32 i;

	session_order = kvcalloc(max(sw_script.nr_probes, 1U), sizeof(*session_order), SW_GFP);
	if (!session_order)
		return -ENOMEM;
	for (i = 0; i < sw_script.nr_probes; i++)
		if (sw_hook_ops_of(&sw_script.probes[i]) == &sw_session_ops)
			session_order[session_nr_probes++] = i;
	sort(session_order, session_nr_probes, sizeof(*session_order), session_compare, NULL);
	sw_memory_add(sw_script.nr_probes * sizeof(*session_order));
	return 0;
}

void sw_phases_destroy(void)
{
	kvfree(session_order);
}

/* A handler that ends the script changes the state: those behind it do not run. */
void sw_phase_run(enum sw_hook phase, u32 state)
{
	u32 i;

	for (i = 0; i < session_nr_probes && sw_state() == state; i++) {
		const struct sw_probe *probe = &sw_script.probes[session_order[i]];
		void (*handler)(void) = probe->handler;

		if (probe->hook != phase)
			continue;
		sw_ring_waits_begin();
		handler();
		sw_ring_waits_end();
		cond_resched();
	}
}
