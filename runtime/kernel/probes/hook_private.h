/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Declarations that hook.c, hook_detach.c and hook_follow.c share. All under hook.c's mutex. */
#ifndef STAPWATCH_HOOK_PRIVATE_H
#define STAPWATCH_HOOK_PRIVATE_H

#include "probes/hook.h"

/* ---- hook.c */
extern struct sw_attachment *sw_hook_attachments; /* one for each probe */

/* Whether the probe's condition holds. */
bool sw_hook_is_wanted(const struct sw_attachment *a);
/* 0, or an error with which the session cannot start. */
int sw_hook_attach(struct sw_attachment *a);

/* ---- hook_detach.c */
typedef bool sw_hook_test(const struct sw_attachment *a, const void *what);

int sw_hook_detach_create(void);
void sw_hook_detach_destroy(void);
/*
 * Takes the hooks out for which leaves() is true, waits once for their handlers, frees
 * them. `why`: the error in their probes' status.
 */
void sw_hook_detach_those(sw_hook_test *leaves, const void *what, int why);

/* ---- hook_follow.c */
/* Whether the script probes modules. */
bool sw_hooks_are_in_modules(void);
/* Attaches or detaches what is in a module; hook.c's part of sw_hooks_follow(). */
void sw_hook_follow(const struct module *module, unsigned long state);
/* Reports the modules that probes wait for. */
void sw_hook_report_waiting(void);

#endif
