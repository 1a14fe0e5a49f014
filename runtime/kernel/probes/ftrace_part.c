// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Some functions of an ftrace hook that come and go together.
 *
 * The compiler knows the offsets of the kernel proper's functions, relative to a function
 * whose address a module can take. A module's functions are looked up in its own table of
 * symbols. Looking names up is left to ftrace only where nothing else is known: for each
 * name it walks through all functions of the kernel.
 */
#include "probes/ftrace_part.h"

/*
 * The function from which compiled code has offsets
 * (compiler/kernel/text_offsets.py): every kernel with ftrace exports it.
 */
static unsigned long ftrace_part_address(const struct sw_function *function)
{
	return function->offset ? (unsigned long)register_ftrace_function + function->offset : 0;
}

static int ftrace_part_filter_symbol(struct ftrace_ops *ops, const char *symbol)
{
	char *name = kstrdup(symbol, SW_GFP); /* ftrace parses it in place */
	int error;

	if (!name)
		return -ENOMEM;
	error = ftrace_set_filter(ops, (unsigned char *)name, strlen(name), 0);
	kfree(name);
	return error == -EINVAL ? -ENOENT : error; /* no function matches */
}

/* Adds or removes all `ips`, which ftrace knows. */
static int ftrace_part_filter_ips(struct ftrace_ops *ops, unsigned long *ips, u32 count,
				  bool remove)
{
#ifdef SW_HAVE_FTRACE_SET_FILTER_IPS
	return ftrace_set_filter_ips(ops, ips, count, remove, 0);
#else
	int error = 0;
	u32 i;

	for (i = 0; i < count && !error; i++)
		error = ftrace_set_filter_ip(ops, ips[i], remove, 0);
	return error;
#endif
}

/*
 * Puts all functions that ftrace reaches into the filter. Every change of a filter
 * copies it, and a change of many functions fails if one of them is refused: so each
 * is tried in a filter of its own, and those that pass are added at once.
 */
static int ftrace_part_filter(struct ftrace_hook *f, struct ftrace_part *part)
{
	struct ftrace_ops trial = { .func = f->ops.func };
	u32 i, known = 0, named = 0;
	int error = 0;

	for (i = 0; i < part->nr_places && !error; i++) {
		struct ftrace_place *place = &part->places[i];
		const char *symbol = f->functions[place->function].symbol;

		if (sw_unsafe_name(symbol)) {
			place->error = SW_UNSAFE;
		} else if (!place->ip) {
			place->error = ftrace_part_filter_symbol(&f->ops, symbol);
			named += !place->error;
		} else {
			place->error = ftrace_set_filter_ip(&trial, place->ip, 0, 1);
			if (!place->error)
				part->ips[known++] = place->ip;
		}
		cond_resched();
		error = sw_hook_interrupted();
	}
	ftrace_set_filter(&trial, NULL, 0, 1);
	if (known && !error)
		error = ftrace_part_filter_ips(&f->ops, part->ips, known, false);
	if (error)
		return error;
	part->nr_traced = known + named;
	f->nr_traced += part->nr_traced;
	return 0;
}

static int ftrace_part_hit(struct kprobe *probe, struct pt_regs *regs)
{
	struct ftrace_fallback *fallback = container_of(probe, struct ftrace_fallback, probe);

	fallback->owner->handler((unsigned long)probe->addr, 0, NULL, (struct sw_regs *)regs);
	return 0;
}

/*
 * The kernel is asked whether the place is safe where the compiler had no address of it: what
 * it had, it has judged, and the running kernel is the one that it knew (build_id.c).
 */
static int ftrace_part_register(struct ftrace_hook *f, struct ftrace_part *part,
				const struct ftrace_place *place)
{
	struct ftrace_fallback *fallback = &part->fallbacks[part->nr_kprobes];
	int error;

	memset(fallback, 0, sizeof(*fallback));
	if (place->ip)
		fallback->probe.addr = (kprobe_opcode_t *)place->ip;
	else
		fallback->probe.symbol_name = f->functions[place->function].symbol;
	error = part->module && place->ip ? sw_unsafe_end(part->module, place->ip) : 0;
	if (error)
		return error;
	fallback->probe.pre_handler = ftrace_part_hit;
	fallback->probe.flags = KPROBE_FLAG_DISABLED;
	fallback->owner = f;
	error = register_kprobe(&fallback->probe);
	if (error)
		return error;
	if (!place->ip)
		error = sw_unsafe_kprobe(fallback->probe.addr, fallback->probe.flags);
	if (error)
		unregister_kprobe(&fallback->probe);
	else
		part->kprobes[part->nr_kprobes++] = &fallback->probe;
	return error;
}

static bool ftrace_part_is_out_of_reach(int error)
{
	return error == -ENOENT || error == -EINVAL;
}

/*
 * Kprobes for the functions that ftrace does not reach. All are registered before
 * the first is enabled: each one that is enabled starts the kernel's optimiser, and
 * registering another one waits for that, which takes until all tasks have been
 * scheduled.
 */
static int ftrace_part_fall_back(struct ftrace_hook *f, struct ftrace_part *part)
{
	u32 i, count = 0;
	int error = 0;
	size_t memory;

	for (i = 0; i < part->nr_places; i++)
		count += ftrace_part_is_out_of_reach(part->places[i].error);
	if (!count)
		return 0;
	part->fallbacks = kvcalloc(count, sizeof(*part->fallbacks), SW_GFP);
	part->kprobes = kvcalloc(count, sizeof(*part->kprobes), SW_GFP);
	if (!part->fallbacks || !part->kprobes)
		return -ENOMEM;
	memory = count * (sizeof(*part->fallbacks) + sizeof(*part->kprobes));
	part->memory += memory;
	sw_memory_add(memory);
	for (i = 0; i < part->nr_places && !error; i++) {
		struct ftrace_place *place = &part->places[i];

		if (ftrace_part_is_out_of_reach(place->error))
			place->error = ftrace_part_register(f, part, place);
		error = sw_hook_interrupted();
	}
	for (i = 0; i < part->nr_kprobes && !error; i++)
		error = enable_kprobe(part->kprobes[i]) ?: sw_hook_interrupted();
	return error;
}

/* The search for a module's functions in its symbols, first to count them, then to fill `places`. */
struct ftrace_part_search {
	const struct ftrace_hook *f;
	const struct module *module;
	bool init;
	u32 first, end; /* the functions in this module: they are sorted by MODULE:NAME */
	u32 name;	/* where NAME begins */
	struct ftrace_place *places;
	u32 room;
	u32 count;
};

static void ftrace_part_found(void *data, const char *name, unsigned long address)
{
	struct ftrace_part_search *search = data;
	u32 low = search->first, high = search->end;

	if (within_module_init(address, search->module) != search->init)
		return;
	while (low < high) {
		u32 middle = (low + high) / 2;
		int order = strcmp(search->f->functions[middle].symbol + search->name, name);

		if (order < 0) {
			low = middle + 1;
		} else if (order > 0) {
			high = middle;
		} else {
			if (search->count < search->room)
				search->places[search->count] =
					(struct ftrace_place){ .ip = address, .function = middle };
			search->count++;
			return;
		}
	}
}

static int ftrace_part_alloc_places(struct ftrace_part *part, u32 count)
{
	part->places = kvcalloc(count, sizeof(*part->places), SW_GFP);
	part->ips = kvcalloc(count, sizeof(*part->ips), SW_GFP);
	if (!part->places || !part->ips)
		return -ENOMEM;
	part->memory = count * (sizeof(*part->places) + sizeof(*part->ips));
	sw_memory_add(part->memory);
	return 0;
}

static int ftrace_part_find_in_module(const struct ftrace_hook *f, struct ftrace_part *part)
{
	struct ftrace_part_search search = {
		.f = f,
		.module = part->module,
		.init = part->init,
		.name = strlen(part->module->name) + 1,
	};
	int error;

	while (search.first < f->nr_functions &&
	       !sw_module_has(part->module, f->functions[search.first].symbol))
		search.first++;
	search.end = search.first;
	while (search.end < f->nr_functions &&
	       sw_module_has(part->module, f->functions[search.end].symbol))
		search.end++;
	if (search.first == search.end)
		return 0;
	sw_module_functions(part->module, ftrace_part_found, &search);
	if (!search.count)
		return 0;
	error = ftrace_part_alloc_places(part, search.count);
	if (error)
		return error;
	search.places = part->places;
	search.room = search.count;
	search.count = 0;
	sw_module_functions(part->module, ftrace_part_found, &search);
	part->nr_places = min(search.count, search.room);
	return 0;
}

static int ftrace_part_find_in_kernel(const struct ftrace_hook *f, struct ftrace_part *part)
{
	u32 i, count = 0;
	int error;

	for (i = 0; i < f->nr_functions; i++)
		count += !sw_module_length(f->functions[i].symbol);
	error = count ? ftrace_part_alloc_places(part, count) : 0;
	for (i = 0; i < f->nr_functions && !error && count; i++)
		if (!sw_module_length(f->functions[i].symbol))
			part->places[part->nr_places++] = (struct ftrace_place){
				.ip = ftrace_part_address(&f->functions[i]),
				.function = i,
			};
	return error;
}

/* An empty filter means all functions: with nothing in it, the ops must not be registered. */
static int ftrace_part_trace(struct ftrace_hook *f)
{
	int error = 0;

	if (!f->registered && f->nr_traced) {
		error = register_ftrace_function(&f->ops);
		f->registered = !error;
	}
	return error;
}

static struct ftrace_part *ftrace_part_alloc(const struct module *module, bool init)
{
	struct ftrace_part *part = kzalloc(sizeof(*part), SW_GFP);

	if (part) {
		part->module = module;
		part->init = init;
	}
	return part;
}

static void ftrace_part_link(struct ftrace_hook *f, struct ftrace_part *part)
{
	part->next = f->parts;
	f->parts = part;
}

int sw_ftrace_part_add(struct ftrace_hook *f, const struct module *module, bool init)
{
	struct ftrace_part *part = ftrace_part_alloc(module, init);
	int error;

	if (!part)
		return -ENOMEM;
	error = module ? ftrace_part_find_in_module(f, part) : ftrace_part_find_in_kernel(f, part);
	if (error || !part->nr_places) {
		sw_ftrace_part_free(part);
		return error;
	}
	ftrace_part_link(f, part);
	return ftrace_part_filter(f, part) ?: ftrace_part_trace(f) ?:
					      ftrace_part_fall_back(f, part);
}

int sw_ftrace_part_refuse(struct ftrace_hook *f, const struct module *module, int why)
{
	struct ftrace_part *part = ftrace_part_alloc(module, false);

	if (!part)
		return -ENOMEM;
	part->error = why;
	ftrace_part_link(f, part);
	return 0;
}

u64 sw_ftrace_part_missed(const struct ftrace_part *part)
{
	u64 missed = 0;
	u32 i;

	for (i = 0; i < part->nr_kprobes; i++)
		missed += READ_ONCE(part->kprobes[i]->nmissed);
	return missed;
}

void sw_ftrace_part_free(struct ftrace_part *part)
{
	sw_memory_add(-(s64)part->memory);
	kvfree(part->places);
	kvfree(part->ips);
	kvfree(part->fallbacks);
	kvfree(part->kprobes);
	kfree(part);
}

/* The functions of other parts go on being traced, and miss nothing. */
static void ftrace_part_untrace(struct ftrace_hook *f, struct ftrace_part *part)
{
	if (!part->nr_traced)
		return;
	f->nr_traced -= part->nr_traced;
	if (f->nr_traced) {
		if (ftrace_part_filter_ips(&f->ops, part->ips, part->nr_traced, true))
			sw_log(KERN_WARNING, "ftrace keeps functions of '%s'", part->module->name);
		return;
	}
	if (f->registered)
		unregister_ftrace_function(&f->ops);
	f->registered = false;
	ftrace_set_filter(&f->ops, NULL, 0, 1);
}

void sw_ftrace_part_drop(struct ftrace_hook *f, const struct module *module, bool init)
{
	struct ftrace_part **link, *part;

	for (link = &f->parts; (part = *link); link = &part->next)
		if (part->module == module && part->init == init)
			break;
	if (!part)
		return;
	*link = part->next;
	ftrace_part_untrace(f, part);
	unregister_kprobes(part->kprobes, part->nr_kprobes);
	f->attachment->missed += sw_ftrace_part_missed(part);
	sw_ftrace_part_free(part);
}
