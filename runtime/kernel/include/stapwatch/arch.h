/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arch.h - chooses the header of the processor and of the kernel's calling convention. target.h
 * names this kernel's variables. */
#ifndef STAPWATCH_ARCH_H
#define STAPWATCH_ARCH_H

extern void **sw_areas;	     /* see script.h */
void sw_preempt_check(void); /* reschedules if that is due; in the runtime object */

#if defined(SW_USERSPACE)
#include "stapwatch/arch/hosted.h"
#elif defined(__x86_64__)
#include "stapwatch/arch/x86_64.h"
#else
#error "this architecture has no header in stapwatch/arch/"
#endif

#endif
