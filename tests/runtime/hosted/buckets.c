// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the buckets of values of native histograms.
 *
 *   buckets NUMBER-OF-MARKS MARK... NEGATIVE-MARK    reads values, s64 in the machine's order
 *
 * Writes the buckets, u32 each.
 */
#include <stdio.h>
#include <stdlib.h>
#include "stapwatch.h"

int main(int argc, char **argv)
{
	u64 marks[8], negative = strtoull(argv[argc - 1], NULL, 0);
	u32 n = strtoul(argv[1], NULL, 0), i, word;
	s64 v;

	for (i = 0; i < n; i++)
		marks[i] = strtoull(argv[2 + i], NULL, 0);
	while (fread(&v, sizeof(v), 1, stdin) == 1) {
		word = sw_exponential_bucket(v, marks, n, negative);
		fwrite(&word, sizeof(word), 1, stdout);
	}
	return 0;
}
