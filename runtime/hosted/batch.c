// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batch.c - many scripts in one program, each run in a child of its own.
 *
 *   batch SECONDS <plan
 *   plan, a line a run:    NUMBER FILE OPTION ...     NUMBER in world_scripts[], options as run.c's
 *   output, a line a run:  STATUS                     as wait() tells; FILE has what went to stderr
 *
 * The scripts are compiled with other names for `sw_script` and `sw_manifest`, and the runtime's
 * `sw_script` is memory that a child fills with its own. A run longer than SECONDS gets SIGALRM.
 */
#include <sys/wait.h>
#include <unistd.h>
#include "batch.h"

static int run(char *line)
{
	char *words[64];
	int n = 0;
	char *word;

	for (word = strtok(line, " \n"); word && n < 63; word = strtok(NULL, " \n"))
		words[n++] = word;
	words[n] = NULL;
	if (n < 2 || !freopen(words[1], "w", stderr))
		return 2;
	memcpy(world_script, world_scripts[strtoul(words[0], NULL, 10)], world_script_size);
	return world_run(n - 1, words + 1);
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 10;
	char line[4096];
	int status;
	pid_t child;

	while (fgets(line, sizeof(line), stdin)) {
		fflush(stdout);
		child = fork();
		if (child == 0) {
			alarm(seconds);
			exit(run(line));
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
		printf("%d\n", status);
	}
	return 0;
}
