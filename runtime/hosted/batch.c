// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many scripts in one program, each run in a child of its own.
 *
 *   batch SECONDS <plan
 *   plan, a line for each run:     NUMBER FILE OPTION ...   NUMBER is an index into
 *                                                           batch_scripts[]; run.c's options
 *   output, a line for each run:   STATUS                   as wait() returns it; the child's
 *                                                           standard error is in FILE
 *
 * The scripts are compiled with other names for `sw_script` and `sw_manifest`. The
 * runtime's `sw_script` is memory that a child fills with its own script. A run that
 * takes longer than SECONDS gets SIGALRM.
 */
#include <sys/wait.h>
#include <unistd.h>
#include "batch.h"

/* Runs a line of the plan. Returns the exit status. */
static int batch_run(char *line)
{
	char *words[64];
	int n = 0;
	char *word;

	for (word = strtok(line, " \n"); word && n < 63; word = strtok(NULL, " \n"))
		words[n++] = word;
	words[n] = NULL;
	if (n < 2 || !freopen(words[1], "w", stderr))
		return 2;
	memcpy(batch_script, batch_scripts[strtoul(words[0], NULL, 10)], batch_script_size);
	return run_script(n - 1, words + 1);
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
			exit(batch_run(line));
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
		printf("%d\n", status);
	}
	return 0;
}
