// SPDX-License-Identifier: GPL-2.0-or-later
/* One script as a program, with run.c's options. tests/runtime/sanitized.py builds it. */
#include "harness.h"

int main(int argc, char **argv)
{
	return run_script(argc, argv);
}
