// SPDX-License-Identifier: GPL-2.0-or-later
/* phase.c - begin, end, error and input probes: no hook in the kernel, only an order. */
#include <linux/sort.h>
#include "probes/hook.h"

static u32 *order; /* the phases' probes by number, then as written */
static u32 nr_phases;

static bool is_phase(const struct sw_probe *probe)
{
	switch (probe->hook) {
	case SW_BEGIN:
	case SW_END:
	case SW_ERROR:
	case SW_INPUT_CHAR:
	case SW_INPUT_LINE:
		return true;
	default:
		return false;
	}
}

static int compare(const void *a, const void *b)
{
	u32 i = *(const u32 *)a, j = *(const u32 *)b;
	s64 x = sw_script.probes[i].number, y = sw_script.probes[j].number;

	if (x != y)
		return x < y ? -1 : 1;
	return i < j ? -1 : 1;
}

int sw_phases_create(void)
{
	u32 i;

	order = kvcalloc(max(sw_script.nr_probes, 1U), sizeof(*order), GFP_KERNEL);
	if (!order)
		return -ENOMEM;
	for (i = 0; i < sw_script.nr_probes; i++)
		if (is_phase(&sw_script.probes[i]))
			order[nr_phases++] = i;
	sort(order, nr_phases, sizeof(*order), compare, NULL);
	sw_memory_add(sw_script.nr_probes * sizeof(*order));
	return 0;
}

void sw_phases_destroy(void)
{
	kvfree(order);
}

void sw_phase_run(enum sw_hook phase, u32 state)
{
	u32 i;

	for (i = 0; i < nr_phases && sw_state() == state; i++) {
		const struct sw_probe *probe = &sw_script.probes[order[i]];
		void (*handler)(void) = probe->handler;

		if (probe->hook != phase)
			continue;
		handler();
		cond_resched();
	}
}

static int phase_place(struct sw_placement *p)
{
	return 0;
}

static void phase_remove(struct sw_placement *p)
{
}

const struct sw_hook_ops sw_phase_hook = {
	.place = phase_place,
	.remove = phase_remove,
};
