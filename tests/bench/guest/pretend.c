// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A library to preload: uname() reports the kernel release in PRETEND_RELEASE, so that
 * a process behaves as if it ran on that kernel.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

int uname(struct utsname *name)
{
	const char *release = getenv("PRETEND_RELEASE");
	int error = (int)syscall(SYS_uname, name);

	if (!error && release)
		snprintf(name->release, sizeof(name->release), "%s", release);
	return error;
}
