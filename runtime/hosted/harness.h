/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs handlers in a normal process: lanes in ordinary memory, and one thread that acts
 * as one CPU after another.
 */
#ifndef STAPWATCH_HARNESS_H
#define STAPWATCH_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stapwatch.h"
#include "core/meter.h"
#include "core/ring.h"
#include "core/mapping.h"

extern struct sw_header harness_header;

/* Allocates `lanes` lanes and the shared region, and initialises the script. */
void harness_create(u32 lanes);
void harness_destroy(void);
/* From now on, the process acts as the CPU of this lane. */
void harness_set_lane(u32 lane);
void harness_set_disabled(u32 disabled);
void harness_errors_reset(u64 max_errors, s64 target);
/* Changes the state and sends its event. */
void harness_set_state(u32 state);
/* Moves the records of the current lane to a file. */
void harness_drain_ring(FILE *events);
/* Writes what a device would map. */
void harness_write_image(FILE *image);

/* run.c: a whole run of the script. Returns the exit status. */
int run_script(int argc, char **argv);

#endif
