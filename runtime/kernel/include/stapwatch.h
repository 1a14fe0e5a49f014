/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stapwatch.h - the one header a generated module includes.
 *
 * Below it are no kernel headers: what depends on the kernel is in stapwatch/target.h, which is
 * made for each kernel from its BTF, and behind the functions of the runtime object.  The runtime's
 * own sources include kernel headers first and define SW_KERNEL_HEADERS; so does a script with
 * embedded C.
 */
#ifndef STAPWATCH_H
#define STAPWATCH_H

#include "stapwatch/types.h"
#include "stapwatch/abi.h"
#include "stapwatch/arch.h"
#include "stapwatch/script.h"
#include "stapwatch/context.h"
#include "stapwatch/int64.h"
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

#endif
