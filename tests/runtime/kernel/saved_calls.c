// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads call functions in each other and return from them, with data kept from entry to return.
 *
 *   saved_calls PLACES CALLS LEFT   4 threads with CALLS calls each, nested at random; of 100 calls
 *				     LEFT never return. Prints the calls that returned, and those
 *				     of them whose data had gone; aborts if data is another call's.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "stapwatch/types.h"
#include "probes/saved_calls.h"

enum { THREADS = 4, MOST_DEPTH = 12 };

static struct sw_saved_calls table;
static u64 calls_each, left_of_100;
static u64 returned[THREADS], missed[THREADS];

struct data {
	u64 thread, called, stack, number;
};

static void *thread_run(void *argument)
{
	u64 thread = (u64)argument, number, depth = 0;
	u64 called[MOST_DEPTH], numbers[MOST_DEPTH];
	unsigned int seed = (unsigned int)thread + 1;

	for (number = 1; number <= calls_each;) {
		u64 stack = 0x7fff0000 - depth * 48;

		if (depth < MOST_DEPTH && rand_r(&seed) % 2) {
			u64 function = (u64)rand_r(&seed) % 3;
			struct sw_saved_call *call =
				sw_saved_begin(&table, thread, function, stack);

			if (call) {
				struct data *data = sw_saved_data(&table, call);

				*data = (struct data){ thread, function, stack, number };
				sw_saved_keep(&table, call, thread, function, stack);
			}
			called[depth] = function;
			numbers[depth++] = number++;
		} else if (depth) {
			struct sw_saved_call *call;
			const struct data *data;

			stack = 0x7fff0000 - --depth * 48;
			if ((u64)rand_r(&seed) % 100 < left_of_100)
				continue; /* longjmp() */
			call = sw_saved_take(&table, thread, called[depth], stack);
			returned[thread]++;
			if (!call) {
				missed[thread]++;
				continue;
			}
			data = sw_saved_data(&table, call);
			assert(data->thread == thread && data->called == called[depth] &&
			       data->stack == stack && data->number == numbers[depth]);
			sw_saved_free(call);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	u64 places = strtoull(argv[1], NULL, 10), sum = 0, lost = 0, i;
	pthread_t threads[THREADS];

	assert(argc == 4);
	calls_each = strtoull(argv[2], NULL, 10);
	left_of_100 = strtoull(argv[3], NULL, 10);
	table.mask = (u32)places - 1;
	table.data_size = sizeof(struct data);
	table.calls = calloc(places, sizeof(*table.calls));
	table.data = calloc(places, sizeof(struct data));
	for (i = 0; i < THREADS; i++)
		assert(!pthread_create(&threads[i], NULL, thread_run, (void *)i));
	for (i = 0; i < THREADS; i++) {
		assert(!pthread_join(threads[i], NULL));
		sum += returned[i];
		lost += missed[i];
	}
	printf("%llu %llu\n", sum, lost);
	free(table.calls);
	free(table.data);
	return 0;
}
