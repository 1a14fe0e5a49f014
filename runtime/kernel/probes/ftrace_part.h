/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Declarations that ftrace.c and ftrace_part.c share.
 *
 * The functions of a hook are in parts: those of the kernel proper, and those of each module
 * while it is loaded, of which the init code is a part of its own. A part comes and goes as a
 * whole. Its functions are in the filter of the hook's one ftrace_ops, or have fallback
 * kprobes.
 */
#ifndef STAPWATCH_FTRACE_PART_H
#define STAPWATCH_FTRACE_PART_H

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include "probes/hook.h"

struct ftrace_hook {
	struct ftrace_ops ops;
	struct sw_attachment *attachment;
	sw_ftrace_handler *handler;
	const struct sw_function *functions;
	u32 nr_functions;
	u32 nr_traced; /* addresses in the filter of the ops */
	bool registered;
	bool stuck;  /* ftrace has kept the trampoline, so the memory must stay */
	s32 *errors; /* of each function */
	struct ftrace_part *parts;
	struct sw_function only; /* target of `functions` if the probe names one function */
};

struct ftrace_fallback {
	struct kprobe probe;
	struct ftrace_hook *owner;
};

/* Where a function is. Functions of one name have several places. */
struct ftrace_place {
	unsigned long ip; /* 0: ftrace looks it up by name */
	u32 function;
	s32 error;
};

struct ftrace_part {
	struct ftrace_part *next;
	const struct module *module; /* NULL: the kernel proper */
	bool init;		     /* the init code of the module */
	int error;		     /* why the whole part is refused; it has no places then */
	u32 nr_places;
	u32 nr_traced;
	u32 nr_kprobes;
	struct ftrace_place *places;
	unsigned long *ips;		   /* those in the filter; by name they are not here */
	struct ftrace_fallback *fallbacks; /* for the places that ftrace does not reach */
	struct kprobe **kprobes;	   /* those of the fallbacks that are registered */
	size_t memory;			   /* of all arrays */
};

/* Visits a hook's parts. */
#define ftrace_for_each_part(part, hook) for ((part) = (hook)->parts; (part); (part) = (part)->next)

/*
 * Hooks the functions of the kernel proper (NULL), or of one of a module's two parts. An error
 * of a function is its own; the result is one of the whole part.
 */
int sw_ftrace_part_add(struct ftrace_hook *f, const struct module *module, bool init);
/* Notes why no function of a module may be hooked. 0 or an error. */
int sw_ftrace_part_refuse(struct ftrace_hook *f, const struct module *module, int why);
/* Takes one of a module's parts out of the hook, which goes on with the others. */
void sw_ftrace_part_drop(struct ftrace_hook *f, const struct module *module, bool init);
/* Frees a part, of which nothing is hooked any more. */
void sw_ftrace_part_free(struct ftrace_part *part);
/* Hits that the fallbacks could not deliver. */
u64 sw_ftrace_part_missed(const struct ftrace_part *part);

#endif
