/* SPDX-License-Identifier: GPL-2.0-or-later */
/* world.h - what the user-space build's files share: lanes in ordinary memory, one of them acting.
 */
#ifndef STAPWATCH_WORLD_H
#define STAPWATCH_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stapwatch.h"
#include "core/ring.h"
#include "core/mapping.h"

extern struct sw_header world_header;

/* Allocates `lanes` lanes and the shared region, and runs the script's initialisation. */
void world_create(u32 lanes);
void world_destroy(void);
/* Acts as a lane from here on. */
void world_enter(u32 lane);
void world_gates_set(u32 closed);
void world_errors_reset(u64 most, s64 target);
/* A state, with its event. */
void world_set_state(u32 state);
/* Moves the acting lane's records to a file. */
void world_drain(FILE *events);
/* A whole run of the script, as run.c's options say: an exit status. */
int world_run(int argc, char **argv);
/* Writes what a device would map. */
void world_write_image(FILE *image);

#endif
