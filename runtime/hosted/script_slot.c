// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `sw_script` of the runtime in a program of many scripts: writable, and empty at first.
 * The header declares it as a constant, so it must be declared under another name here.
 */
#define sw_script sw_other_script
#include "stapwatch.h"
#undef sw_script

char sw_script[sizeof(struct sw_other_script)] __aligned(64);
void *const batch_script = sw_script;
const size_t batch_script_size = sizeof(sw_script);
