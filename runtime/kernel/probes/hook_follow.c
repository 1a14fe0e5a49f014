// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hooks in modules of the kernel follow these: attached before a module runs, detached
 * before its code is freed. A probe whose module is not loaded waits (SW_WAITS); so does one
 * of init code, which is there only while its module is being loaded.
 */
#include "probes/hook_private.h"

struct hook_leaving {
	const struct module *module;
	bool init; /* only its init code */
};

static bool hook_can_be_in_module(const struct sw_attachment *a)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);

	return ops->address || ops->follow;
}

/* What is probed, one after the other: a probe's functions, or the probe itself. */
struct hook_row {
	const struct sw_attachment *a;
	const char *symbol;
	const struct sw_probe_status *status;
};

static u32 hook_nr_rows(const struct sw_attachment *a)
{
	return hook_can_be_in_module(a) ? max(a->probe->nr_functions, 1U) : 0;
}

static struct hook_row hook_row_of(const struct sw_attachment *a, u32 number)
{
	const struct sw_probe *probe = a->probe;

	if (!probe->nr_functions)
		return (struct hook_row){ a, probe->symbol, &sw_status[a->index] };
	return (struct hook_row){ a, probe->functions[number].symbol,
				  &sw_status[probe->status + number] };
}

bool sw_hooks_are_in_modules(void)
{
	u32 i, n;

	for (i = 0; i < sw_script.nr_probes; i++) {
		const struct sw_attachment *a = &sw_hook_attachments[i];

		for (n = 0; n < hook_nr_rows(a); n++)
			if (sw_module_length(hook_row_of(a, n).symbol))
				return true;
	}
	return false;
}

static void hook_say(const char *text)
{
	struct sw_context *c = sw_context_take(SW_NO_PROBE);

	sw_event_text(c, SW_EVENT_WARNING, SW_NO_SITE, text);
	sw_context_give(c);
	sw_reader_wake();
}

#define HOOK_TEXT 192

/* `symbol`: one of `count` that wait, of the same module. */
static void hook_say_waiting(const char *symbol, u32 count)
{
	const struct module *module = sw_module_get(symbol);
	u32 length = sw_module_length(symbol);
	char text[HOOK_TEXT];

	if (!module)
		snprintf(text, sizeof(text),
			 "module '%.*s' is not loaded: %u probed functions wait for it",
			 (int)length, symbol, count);
	else
		snprintf(text, sizeof(text),
			 "module '%.*s' has freed %u probed functions, as it is initialized: they "
			 "wait until it is loaded again",
			 (int)length, symbol, count);
	sw_module_put(module);
	hook_say(text);
}

/* The functions of one module are next to each other in a probe. */
void sw_hook_report_waiting(void)
{
	const char *last = NULL;
	u32 i, n, count = 0;

	for (i = 0; i < sw_script.nr_probes; i++) {
		for (n = 0; n < hook_nr_rows(&sw_hook_attachments[i]); n++) {
			struct hook_row row = hook_row_of(&sw_hook_attachments[i], n);
			u32 length = sw_module_length(row.symbol);

			if (!length || row.status->error != SW_WAITS)
				continue;
			if (count && strncmp(last, row.symbol, length + 1)) {
				hook_say_waiting(last, count);
				count = 0;
			}
			last = row.symbol;
			count++;
		}
	}
	if (count)
		hook_say_waiting(last, count);
}

static void hook_say_changed(const struct module *module, unsigned long state)
{
	u32 i, n, all = 0, armed = 0;
	char text[HOOK_TEXT];

	for (i = 0; i < sw_script.nr_probes; i++) {
		const struct sw_attachment *a = &sw_hook_attachments[i];

		for (n = 0; n < hook_nr_rows(a); n++) {
			struct hook_row row = hook_row_of(a, n);

			if (!sw_module_has(module, row.symbol) || !sw_hook_is_wanted(a))
				continue;
			all++;
			armed += row.status->armed;
		}
	}
	if (!all)
		return;
	if (state == MODULE_STATE_COMING)
		snprintf(text, sizeof(text), "module '%s' is loaded: %u of %u functions are probed",
			 module->name, armed, all);
	else
		snprintf(text, sizeof(text),
			 "module '%s' is unloaded: %u functions are not probed until it is loaded "
			 "again",
			 module->name, all);
	hook_say(text);
}

static bool hook_is_leaving(const struct sw_attachment *a, const void *what)
{
	const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);
	const struct hook_leaving *leaving = what;
	unsigned long address;

	if (!a->attached || !ops->address)
		return false;
	address = ops->address(a);
	return leaving->init ? within_module_init(address, leaving->module)
			     : within_module(address, leaving->module);
}

/* An error is the probe's alone: the others go on, as does the module's loading. */
static void hook_attach_in(const struct module *module)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (!sw_hook_ops_of(a->probe)->address || a->attached ||
		    !sw_module_has(module, a->probe->symbol))
			continue;
		sw_status[i].error = 0;
		if (sw_hook_is_wanted(a))
			sw_hook_attach(a);
	}
}

/* Probes in the module that have no hook of their own, but that of another one. */
static void hook_copy_status(const struct module *module)
{
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];
		const struct sw_hook_ops *ops = sw_hook_ops_of(a->probe);
		u32 other;

		if (!ops->counted_by || !sw_hook_is_wanted(a))
			continue;
		other = ops->counted_by(a->probe);
		if (!sw_module_has(module, sw_hook_attachments[other].probe->symbol))
			continue;
		a->attached = sw_hook_attachments[other].attached;
		sw_status[i].armed = sw_status[other].armed;
		sw_status[i].error = sw_status[other].error;
	}
}

void sw_hook_follow(const struct module *module, unsigned long state)
{
	struct hook_leaving leaving = { module, state == MODULE_STATE_LIVE };
	u32 i;

	if (state == MODULE_STATE_COMING)
		hook_attach_in(module);
	else
		sw_hook_detach_those(hook_is_leaving, &leaving, SW_WAITS);
	for (i = 0; i < sw_script.nr_probes; i++) {
		struct sw_attachment *a = &sw_hook_attachments[i];

		if (a->attached && sw_hook_ops_of(a->probe)->follow)
			sw_hook_ops_of(a->probe)->follow(a, module, state);
	}
	hook_copy_status(module);
	if (state != MODULE_STATE_LIVE)
		hook_say_changed(module, state);
}
