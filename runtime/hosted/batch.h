/* SPDX-License-Identifier: GPL-2.0-or-later */
/* batch.h - what a program of many scripts defines, in a file made for each batch. */
#ifndef STAPWATCH_BATCH_H
#define STAPWATCH_BATCH_H

#include "harness.h"

extern const struct sw_script *const world_scripts[];

/* The runtime's `sw_script`, as memory; in slot.c, which does not know its type. */
extern void *const world_script;
extern const size_t world_script_size;

#endif
