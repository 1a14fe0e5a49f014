// SPDX-License-Identifier: GPL-2.0-or-later
/* slot.c - `sw_script` of the runtime in a program of many scripts: writable, and empty at first.
 */
#define sw_script sw_other_script /* as in the scripts: leave the name to the memory below */
#include "stapwatch.h"
#undef sw_script

char sw_script[sizeof(struct sw_other_script)] __aligned(64);
void *const world_script = sw_script;
const size_t world_script_size = sizeof(sw_script);
