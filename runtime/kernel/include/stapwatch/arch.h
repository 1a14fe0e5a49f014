/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses the header of the processor: per-CPU access, atomics, registers, the
 * calling convention. stapwatch/target.h names this kernel's variables.
 */
#ifndef STAPWATCH_ARCH_H
#define STAPWATCH_ARCH_H

extern void **sw_areas; /* see script.h */

/* Reschedules if that is due: the slow path of sw_preempt_enable(). */
void sw_preempt_check(void);

#if defined(SW_USERSPACE)
#include "stapwatch/arch/hosted.h"
#elif defined(__x86_64__)
#include "stapwatch/arch/x86_64.h"
#else
#error "this architecture has no header in stapwatch/arch/"
#endif

#endif
