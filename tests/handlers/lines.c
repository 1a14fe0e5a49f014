// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module whose code is probed at its lines: `run` is a parameter, and a number that is written to
 * it is the number of turns of a loop.
 */
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>

struct lines_shape {
	int side;
	unsigned int color : 3, depth : 5;
	const char *name;
	struct lines_shape *next;
	struct list_head list;
};

static struct lines_shape small = { .side = -3, .color = 5, .depth = 17, .name = "small" };
static struct lines_shape large = {
	.side = 40, .color = 2, .depth = 9, .name = "large", .next = &small
};
static long last;

/* In two places of `turns`, and nowhere else. */
static __always_inline long lines_area(const struct lines_shape *shape, long factor)
{
	long area = (long)shape->side * factor;

	last += area; /* area */
	return area;
}

static noinline long lines_turns(const char *name, int count)
{
	const struct lines_shape *shape = &large;
	char buffer[32];
	long total = 0;
	int i;

	OPTIMIZER_HIDE_VAR(shape); /* or the compiler knows all of it */
	for (i = 1; i <= count; i++) {
		total += lines_area(shape, i);
		buffer[i & 31] = 'a' + i;
		barrier_data(buffer);
		OPTIMIZER_HIDE_VAR(total); /* turn */
	}
	total += lines_area(shape->next, 2);
	barrier_data(buffer);
	return total; /* end */
}

static int lines_run(const char *text, const struct kernel_param *unused)
{
	int count, error = kstrtoint(text, 0, &count);

	return error ?: (lines_turns(text, min(count, 20)) & 0);
}

static const struct kernel_param_ops lines_ops = { .set = lines_run };
module_param_cb(run, &lines_ops, NULL, 0200);

static int __init lines_init(void)
{
	last = lines_turns("init", 2);
	return 0;
}

static void __exit lines_exit(void)
{
}

module_init(lines_init);
module_exit(lines_exit);
MODULE_DESCRIPTION("stapwatch test module");
MODULE_LICENSE("GPL");
