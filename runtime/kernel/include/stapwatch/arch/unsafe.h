/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the names of the architecture's code that no probe may be in. */
#ifndef STAPWATCH_ARCH_UNSAFE_H
#define STAPWATCH_ARCH_UNSAFE_H

#if defined(__x86_64__)
#include "stapwatch/arch/x86_64_unsafe.h"
#else
#error "this architecture has no names of unsafe code"
#endif

#endif
