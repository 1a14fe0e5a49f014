// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose debug information is read. Calls visit() with the numbers from 1 to its
 * argument, and prints what probes of it must see.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT __attribute__((noipa)) /* called as the source says */

enum color { RED, GREEN = 5, BLUE = -3 };

struct point {
	short x;
	unsigned int flags : 3;
	int depth : 5;
	char name[12];
};

typedef struct node {
	struct node *next;
	struct point at;
	union {
		long number;
		unsigned char bytes[8];
	} u;
	unsigned int values[4];
	enum color color;
	double weight;
	struct {
		int hidden;
	};
	int grid[2][3];
} node_t;

struct pair {
	int a, b;
};

struct wide {
	long big;
	int low;
	short high;
	unsigned short bit : 3;
};

static long total = 1000;
static __thread int in_thread = 7;
__thread long zero_in_thread;
node_t second = { .u = { .number = -77 } };
node_t first = {
	.next = &second,
	.at = { -9, 5, -7, "point" },
	.u = { .number = 0x0201 },
	.values = { 10, 20, 4000000000u, 40 },
	.color = BLUE,
	.weight = 0.5,
	.hidden = 11,
	.grid = { { 1, 2, 3 }, { 4, 5, -6 } },
};

/* Parameters in registers of several sizes, and on the stack. */
static KEPT long visit(node_t *node, short step, unsigned char letter, const char *text, int five,
		       long six, long seven, int eight)
{
	total += step;
	in_thread += step;
	zero_in_thread -= step;
	return node->values[0] + letter + (long)strlen(text) + five + six + seven + eight;
}

/* A floating-point number and a struct in a register stand between. */
KEPT int mixed(double factor, struct pair pair, int last)
{
	return (int)(factor * pair.a) + pair.b + last;
}

/* Structs in one register, and in two. */
KEPT struct wide widened(struct pair pair, struct wide wide)
{
	return (struct wide){ wide.big + pair.a, wide.low + pair.b, wide.high, wide.bit };
}

KEPT struct pair doubled(struct pair pair)
{
	return (struct pair){ 2 * pair.a, 2 * pair.b };
}

KEPT node_t *next_of(node_t *node)
{
	return node->next;
}

KEPT int negative(int number)
{
	return -number;
}

KEPT struct node copy_of(const node_t *node)
{
	return *node;
}

static inline __attribute__((always_inline)) int tripled(int number)
{
	int result = 3 * number;

	__asm__ __volatile__("" : "+r"(result));
	return result;
}

KEPT int caller(int number)
{
	int before = number + 100;
	int tripled_one;

	__asm__ __volatile__("" : "+r"(before));
	tripled_one = tripled(before);
	return tripled_one - before;
}

KEPT long sum_of_squares(int count)
{
	long sum = 0;

	for (int i = 1; i <= count; i++) {
		__asm__ __volatile__("" : "+r"(sum), "+r"(i));
		sum += (long)i * i; /* statement */
	}
	return sum;
}

KEPT long sum_down(int number)
{
	long rest = number ? sum_down(number - 1) : 0;

	__asm__ __volatile__("" : "+r"(rest)); /* no loop */
	return number + rest;
}

KEPT long added_up(int count)
{
	long sum = 0;

again:
	__asm__ __volatile__("" : "+r"(sum));
	sum += count;
	if (--count > 0)
		goto again;
	return sum;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[argc - 1]) : 0;

	for (int i = 1; i <= count; i++)
		visit(&first, -i, 'A' + i, "text", 5, 1L << 40, -7, -8);
	printf("%d %d %d\n", mixed(1.5, (struct pair){ 2, 3 }, 17), negative(count), caller(count));
	printf("%ld %d %ld\n", next_of(&first)->u.number, copy_of(&first).hidden,
	       sum_of_squares(count));
	printf("%ld %d %ld\n", sum_down(count), in_thread, zero_in_thread);
	printf("%ld %d\n", added_up(count), doubled((struct pair){ 4, -5 }).b);
	printf("%ld\n", widened((struct pair){ 2, -3 }, (struct wide){ 100, 20, -7, 5 }).big);
	return 0;
}
