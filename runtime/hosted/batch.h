/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scripts of one program: defined in a file that is generated for each program. */
#ifndef STAPWATCH_BATCH_H
#define STAPWATCH_BATCH_H

#include "harness.h"

extern const struct sw_script *const batch_scripts[];

/* The memory of the runtime's `sw_script`; in script_slot.c, which does not know its type. */
extern void *const batch_script;
extern const size_t batch_script_size;

#endif
