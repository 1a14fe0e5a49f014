/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one header that a generated module includes.
 *
 * No kernel header is included below it. Whatever depends on the kernel is in
 * stapwatch/target.h, which is generated for each kernel from its BTF, or in
 * the functions of the runtime object. The runtime's own sources, and scripts
 * with embedded C, include kernel headers first and define SW_KERNEL_HEADERS.
 *
 * Functions are documented where they are declared. Unless a comment says
 * otherwise, a function may be called by any handler, in the context that
 * stapwatch/context.h defines.
 */
#ifndef STAPWATCH_H
#define STAPWATCH_H

#include "stapwatch/types.h"
#include "stapwatch/abi.h"
#include "stapwatch/arch.h"
#include "stapwatch/script.h"
#include "stapwatch/meter.h"
#include "stapwatch/context.h"
#include "stapwatch/charge.h"
#include "stapwatch/int64.h"
#include "stapwatch/float64.h"
#include "stapwatch/read.h"
#include "stapwatch/string.h"
#include "stapwatch/regex.h"
#include "stapwatch/statistic.h"
#include "stapwatch/array.h"
#include "stapwatch/event.h"
#include "stapwatch/task.h"
#include "stapwatch/clock.h"
#include "stapwatch/syscall.h"
#include "stapwatch/stack.h"
#include "stapwatch/unwind.h"

#endif
