// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Code in which a breakpoint would bring the kernel down, although kprobes accept it:
 * ftrace copies its callers into new trampolines, kexec and hibernation copy code to
 * other pages, static calls and thunks are patched as a whole, and a CPU starts and
 * resumes without an interrupt table. (Entry code and what kprobes run themselves are
 * in the kernel's own list.)
 *
 * The compiler refuses the same (compiler/kernel/unsafe_text.py) if it knows the
 * kernel's symbols. Here the kernel is asked, so nothing depends on the compiler.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include "probes/hook.h"
#include "stapwatch/arch/unsafe.h"

#define UNSAFE_MOST_NAMES  6
#define UNSAFE_LARGEST	   0x4000   /* symbols further apart do not belong together */
#define UNSAFE_LONGEST	   0x100000 /* bytes of a function that are looked at */
#define UNSAFE_INSTRUCTION 15
#define UNSAFE_SLACK	   4 /* from a symbol to where a kprobe on it goes */

struct unsafe_area {
	bool section; /* two names, the second one behind the code's end */
	const char *names[UNSAFE_MOST_NAMES];
};

#define UNSAFE_SECTIONS(SECTION)                                                                   \
	SECTION("__static_call_text_start", "__static_call_text_end")                              \
	SW_UNSAFE_SECTIONS(SECTION)

#define UNSAFE_SECTION(...) { .section = true, .names = { __VA_ARGS__ } },
#define UNSAFE_AREA(...)    { .names = { __VA_ARGS__ } },
static const struct unsafe_area unsafe_areas[] = { UNSAFE_SECTIONS(UNSAFE_SECTION)
							   SW_UNSAFE_AREAS(UNSAFE_AREA) };
#undef UNSAFE_SECTION
#undef UNSAFE_AREA

static const char *const unsafe_prefixes[] = { "bpf_dispatcher_", "__SCT__", "__static_call_",
					       "optprobe_template_", SW_UNSAFE_PREFIXES };

#define UNSAFE_NR_NAMES (ARRAY_SIZE(unsafe_areas) * UNSAFE_MOST_NAMES)

/* The addresses of all names; 0 for those that the kernel does not have. Under hook.c's mutex. */
static unsigned long unsafe_addresses[ARRAY_SIZE(unsafe_areas)][UNSAFE_MOST_NAMES];
static bool unsafe_known;

/*
 * As in kernel_symbols.c, but these are functions, so some are registered. They are
 * disabled, which leaves the code as it is, and leave together: each unregistering
 * alone would wait for a grace period.
 */
static int unsafe_look_up(void)
{
	struct kprobe *probes = kvcalloc(UNSAFE_NR_NAMES, sizeof(*probes), SW_GFP);
	struct kprobe **registered = kvcalloc(UNSAFE_NR_NAMES, sizeof(*registered), SW_GFP);
	u32 i, count = 0;
	int error = probes && registered ? 0 : -ENOMEM;

	if (error)
		goto out;
	for (i = 0; i < UNSAFE_NR_NAMES; i++) {
		struct kprobe *k = &probes[i];

		k->symbol_name = unsafe_areas[i / UNSAFE_MOST_NAMES].names[i % UNSAFE_MOST_NAMES];
		if (!k->symbol_name)
			continue;
		k->flags = KPROBE_FLAG_DISABLED;
		if (!register_kprobe(k))
			registered[count++] = k;
		unsafe_addresses[i / UNSAFE_MOST_NAMES][i % UNSAFE_MOST_NAMES] =
			(unsigned long)k->addr;
		cond_resched();
		error = sw_hook_interrupted();
		if (error)
			break;
	}
	unregister_kprobes(registered, count);
	unsafe_known = !error;
out:
	kvfree(registered);
	kvfree(probes);
	return error;
}

static bool unsafe_area_has(u32 index, unsigned long address)
{
	const unsigned long *at = unsafe_addresses[index];
	unsigned long low = ULONG_MAX, high = 0;
	bool exact = false;
	u32 i;

	for (i = 0; i < UNSAFE_MOST_NAMES; i++) {
		if (!at[i])
			continue;
		low = min(low, at[i]);
		high = max(high, at[i]);
		exact |= address - at[i] <= UNSAFE_SLACK;
	}
	if (unsafe_areas[index].section)
		return at[0] && at[1] && address >= at[0] && address < at[1];
	return exact ||
	       (low <= high && high - low <= UNSAFE_LARGEST && address >= low && address <= high);
}

bool sw_unsafe_name(const char *symbol)
{
	u32 i;

	for (i = 0; symbol && i < ARRAY_SIZE(unsafe_prefixes); i++)
		if (!strncmp(symbol, unsafe_prefixes[i], strlen(unsafe_prefixes[i])))
			return true;
	return false;
}

/* A function of a module, and what follows it; 0: nothing. */
struct unsafe_function {
	const char *name; /* NULL: its address is known */
	unsigned long address, next;
};

static void unsafe_find(void *data, const char *name, unsigned long address)
{
	struct unsafe_function *f = data;

	if (!f->address && f->name && !strcmp(name, f->name))
		f->address = address;
}

static void unsafe_find_next(void *data, const char *name, unsigned long address)
{
	struct unsafe_function *f = data;

	if (address > f->address && (!f->next || address < f->next))
		f->next = address;
}

static bool unsafe_is_readable(unsigned long address)
{
	u8 byte;

	return !copy_from_kernel_nofault(&byte, (const void *)address, sizeof(byte));
}

/*
 * Before it registers a kprobe, the kernel decodes the function's instructions up to the next
 * symbol, or to the end of the module's code. The filling there may end in the middle of an
 * instruction, and behind it nothing is mapped: the kernel then takes a page fault.
 */
int sw_unsafe_end(const struct module *module, unsigned long address)
{
	struct unsafe_function f = { .address = address };
	unsigned long page;

	sw_module_functions(module, unsafe_find_next, &f);
	for (page = PAGE_ALIGN(address + 1); page < f.next && page - address < UNSAFE_LONGEST;
	     page += PAGE_SIZE)
		if (!unsafe_is_readable(page))
			return SW_UNSAFE;
	return f.next && unsafe_is_readable(f.next + UNSAFE_INSTRUCTION) ? 0 : SW_UNSAFE;
}

static void unsafe_nothing(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			   void *regs)
{
}

/* Whether ftrace reaches a function: kprobes at its entry are then ftrace's, and nothing is decoded. */
static bool unsafe_is_traced(unsigned long address)
{
	struct ftrace_ops trial = { .func = (ftrace_func_t)unsafe_nothing };
	bool found = !ftrace_set_filter_ip(&trial, address, 0, 1);

	ftrace_set_filter(&trial, NULL, 0, 1);
	return found;
}

int sw_unsafe_function(const char *symbol, u64 offset)
{
	u32 length = sw_module_length(symbol);
	const struct module *module = length ? sw_module_get(symbol) : NULL;
	struct unsafe_function f = { 0 };
	int error = 0;

	if (!module)
		return 0;
	f.name = symbol + length + 1;
	sw_module_functions(module, unsafe_find, &f);
	if (f.address && (offset || !unsafe_is_traced(f.address)))
		error = sw_unsafe_end(module, f.address);
	sw_module_put(module);
	return error;
}

/* What ftrace reaches is not looked up: it is made for hooks. */
int sw_unsafe_kprobe(const void *address, u32 flags)
{
	int error;
	u32 i;

	if (flags & KPROBE_FLAG_FTRACE)
		return 0;
	error = unsafe_known ? 0 : unsafe_look_up();
	for (i = 0; i < ARRAY_SIZE(unsafe_areas) && !error; i++)
		if (unsafe_area_has(i, (unsigned long)address))
			error = SW_UNSAFE;
	return error;
}

const char *sw_unsafe_explain(int error)
{
	switch (error) {
	case SW_UNSAFE:
		return "the kernel copies or patches its code, reads on behind its end, or runs "
		       "it where no breakpoint may be hit";
	case SW_OTHER_BUILD:
		return "the loaded module has other types than the script was made for";
	case -EINVAL:
		return "kprobes refuse it";
	case -EILSEQ:
		return "no instruction begins there: the code is of another build";
	default:
		return NULL;
	}
}
