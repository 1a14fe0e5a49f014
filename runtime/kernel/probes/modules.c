// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Modules of the kernel that the script probes, while they come and go. MODULE:NAME is a
 * function or variable of one, for the kernel and here.
 *
 * The kernel calls a notifier when a module
 *
 *   COMING  has all its code in place, and has run none of it
 *   LIVE    has been initialized; then the kernel frees its init code
 *   GOING   has run its exit function; then the kernel frees it
 *
 * in the process that loads or unloads it. No hook holds a reference, so probes keep no
 * module loaded.
 *
 * The notifier takes hook.c's mutex while the kernel's chain of notifiers is locked. So
 * whoever holds that mutex must not add or remove a notifier of modules, and must not wait
 * for a module to be loaded.
 */
#include <linux/kallsyms.h>
#include <linux/notifier.h>
#include <linux/rculist.h>
#include "probes/hook.h"

#define MODULES_BTF	   "/sys/kernel/btf/"
#define MODULES_BTF_CHUNK  16384
#define MODULES_ADLER_BASE 65521

u32 sw_module_length(const char *symbol)
{
	const char *end = symbol ? strchr(symbol, ':') : NULL;

	return end ? end - symbol : 0;
}

bool sw_module_has(const struct module *module, const char *symbol)
{
	u32 length = sw_module_length(symbol);

	return length && length == strlen(module->name) && !memcmp(module->name, symbol, length);
}

/*
 * The list of modules is a ring with a head that is none of them. A module's record is
 * part of its own memory, which tells it from the head.
 */
const struct module *sw_module_get(const char *symbol)
{
	struct module *module;
	const struct module *found = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(module, &THIS_MODULE->list, list)
	{
		if (!within_module((unsigned long)module, module) || !sw_module_has(module, symbol))
			continue;
		if (module->state != MODULE_STATE_UNFORMED && try_module_get(module))
			found = module;
		break;
	}
	rcu_read_unlock();
	return found;
}

static bool modules_is_function(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

void sw_module_functions(const struct module *module, sw_module_visitor *visit, void *data)
{
#ifdef CONFIG_KALLSYMS
	const struct mod_kallsyms *table;
	u32 i;

	rcu_read_lock(); /* the table is another one once the init code has gone */
	table = rcu_dereference(module->kallsyms);
	for (i = 1; table && i < table->num_symtab; i++)
		if (modules_is_function(table->typetab[i]))
			visit(data, table->strtab + table->symtab[i].st_name,
			      table->symtab[i].st_value);
	rcu_read_unlock();
#endif
}

/* zlib's adler32(), continued from `sum`, which begins as 1. */
static u32 modules_adler32(u32 sum, const u8 *data, size_t size)
{
	u32 low = sum & 0xffff, high = sum >> 16;

	while (size--) {
		low = (low + *data++) % MODULES_ADLER_BASE;
		high = (high + low) % MODULES_ADLER_BASE;
	}
	return high << 16 | low;
}

/* Whether the loaded module has exactly these types. */
static bool modules_types_match(const struct sw_module_types *types)
{
	u8 *chunk = kmalloc(MODULES_BTF_CHUNK, SW_GFP);
	char path[sizeof(MODULES_BTF) + MODULE_NAME_LEN];
	struct file *file;
	loff_t position = 0;
	u32 sum = 1;
	ssize_t got;

	if (!chunk)
		return false;
	snprintf(path, sizeof(path), MODULES_BTF "%s", types->module);
	file = filp_open(path, O_RDONLY, 0);
	if (IS_ERR(file)) {
		kfree(chunk);
		return false;
	}
	while ((got = kernel_read(file, chunk, MODULES_BTF_CHUNK, &position)) > 0) {
		sum = modules_adler32(sum, chunk, got);
		cond_resched();
	}
	filp_close(file, NULL);
	kfree(chunk);
	return !got && position == types->size && sum == types->checksum;
}

int sw_module_check(const char *name)
{
	u32 i;

	for (i = 0; i < sw_script.nr_module_types; i++)
		if (!strcmp(sw_script.module_types[i].module, name))
			return modules_types_match(&sw_script.module_types[i]) ? 0 : SW_OTHER_BUILD;
	return 0;
}

void sw_module_put(const struct module *module)
{
	module_put((struct module *)module);
}

int sw_module_state(const char *symbol)
{
	const struct module *module;
	int error;

	if (!sw_module_length(symbol))
		return 0;
	module = sw_module_get(symbol);
	error = module ? sw_module_check(module->name) : SW_WAITS;
	sw_module_put(module);
	return error;
}

static int modules_changed(struct notifier_block *unused, unsigned long state, void *data)
{
	if (data != THIS_MODULE)
		sw_hooks_follow(data, state);
	return NOTIFY_DONE;
}

/*
 * After all others: at COMING the kernel has patched the module's code for its static keys
 * and calls, and shows its types; at GOING it has given its kprobes up.
 */
static struct notifier_block modules_notifier = {
	.notifier_call = modules_changed,
	.priority = INT_MIN,
};

int sw_modules_follow(void)
{
	return register_module_notifier(&modules_notifier);
}

void sw_modules_unfollow(void)
{
	unregister_module_notifier(&modules_notifier);
}
