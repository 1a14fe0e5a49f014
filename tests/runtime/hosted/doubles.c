// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes doubles of numbers, as a module does.
 *
 *   doubles                          reads numbers, u64 in the machine's order; writes doubles
 *   doubles ROW-WORDS FIRST COUNT    reads rows; writes them with their counts as doubles, then the
 *                                    range of the counts that are not 0, two u32
 */
#include <stdio.h>
#include <stdlib.h>
#include "stapwatch.h"
#include "lib/doubles.h"

static int numbers(void)
{
	u64 number;

	while (fread(&number, sizeof(number), 1, stdin) == 1) {
		number = sw_double(number);
		fwrite(&number, sizeof(number), 1, stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sw_doubles request = { 0 };
	u64 *row;

	if (argc == 1)
		return numbers();
	request.row_words = strtoul(argv[1], NULL, 0);
	request.first = strtoul(argv[2], NULL, 0);
	request.count = request.begin = strtoul(argv[3], NULL, 0);
	row = malloc(request.row_words * sizeof(*row));
	while (fread(row, sizeof(*row), request.row_words, stdin) == request.row_words) {
		sw_doubles_make(&request, row, 1);
		fwrite(row, sizeof(*row), request.row_words, stdout);
	}
	free(row);
	fwrite(&request.begin, sizeof(u32), 1, stdout);
	fwrite(&request.end, sizeof(u32), 1, stdout);
	return 0;
}
