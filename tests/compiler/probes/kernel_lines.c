// SPDX-License-Identifier: GPL-2.0-or-later
/* A kernel, or a module of it, in which lines are probed: built by test_kernel_source.py. */
struct file {
	unsigned int f_flags;
};

int register_ftrace_function(int ops);
static volatile int last;

static inline __attribute__((always_inline)) int doubled(int number)
{
	int twice = number * 2;

	last += twice; /* twice */
	return twice;
}

__attribute__((noinline)) int register_ftrace_function(int ops)
{
	return ops + last;
}

__attribute__((noinline)) int vfs_thing(struct file *file, int count)
{
	int i, sum = 0;

	for (i = 0; i < count; i++)
		sum += doubled(i); /* turn */
	last = doubled(sum);
	return sum + file->f_flags; /* end */
}

__attribute__((noinline)) int ftrace_caller(int count)
{
	last += count; /* unsafe */
	return last;
}

__attribute__((section(".init.text"), noinline)) int thing_init(void)
{
	last = 3; /* init */
	return last;
}

__attribute__((noinline)) static int same(int number)
{
	last += 7;
	return last + number;
}

int use_same(int number)
{
	return same(number) + 1;
}
