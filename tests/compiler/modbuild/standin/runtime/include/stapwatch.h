/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API of the stand-in runtime: as much of the real one as a stub script and these tests use. */
#ifndef STAPWATCH_H
#define STAPWATCH_H

#include "stapwatch/target.h"

#ifndef SW_KERNEL_HEADERS
typedef unsigned char u8;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;
typedef __SIZE_TYPE__ size_t;
#define __always_inline inline __attribute__((__always_inline__))
#define __aligned(size) __attribute__((__aligned__(size)))
#endif

enum sw_hook { SW_BEGIN };

struct sw_probe {
	enum sw_hook hook;
	void *handler;
};

struct sw_script {
	const char *name;
	u32 nr_probes;
	const struct sw_probe *probes;
	const char *manifest;
	const char *manifest_end;
};

extern const struct sw_script sw_script;
extern void **sw_areas;
void sw_hit_skipped(void);

static __always_inline void *sw_enter(u32 counts_offset, u32 probe)
{
	void *area;

	__asm__ __volatile__("incl %%gs:" SW_PREEMPT_COUNT ::: "memory", "cc");
	__asm__ __volatile__("movq %%gs:(%1), %0" : "=r"(area) : "r"(sw_areas));
	if (!area)
		sw_hit_skipped();
	__asm__ __volatile__("decl %%gs:" SW_PREEMPT_COUNT ::: "memory", "cc");
	return area;
}

#endif
