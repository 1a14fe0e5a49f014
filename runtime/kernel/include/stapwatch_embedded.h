/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replaces stapwatch.h in scripts with embedded C: kernel headers, and the
 * names through which SystemTap's embedded C reaches the script. These names are
 * SystemTap's, so they have no prefix.
 */
#ifndef STAPWATCH_EMBEDDED_H
#define STAPWATCH_EMBEDDED_H

#ifdef SW_USERSPACE

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#else

#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#define SW_KERNEL_HEADERS

#endif

#include "stapwatch.h"

/* CONTEXT and the names that its members have in SystemTap. */
#define CONTEXT		c
#define last_error	error
#define actionremaining actions
#define nesting		depth

/*
 * What CONTEXT->kregs, uregs and user_mode_p become: the registers of a probe in the kernel, or
 * in a program.
 */
static inline bool sw_user_mode_p(const struct sw_context *c)
{
#ifdef SW_USERSPACE
	return false;
#else
	return c->regs && user_mode((struct pt_regs *)c->regs);
#endif
}

static inline struct pt_regs *sw_kregs(const struct sw_context *c)
{
	return sw_user_mode_p(c) ? NULL : (struct pt_regs *)c->regs;
}

static inline struct pt_regs *sw_uregs(const struct sw_context *c)
{
	return sw_user_mode_p(c) ? (struct pt_regs *)c->regs : NULL;
}

/*
 * STAP_RETURN() of a function whose result is a number, a string, or nothing.
 * Without an argument the result does not change.
 */
#define SW_RETURN_LONG(...)                                                                        \
	do {                                                                                       \
		__VA_OPT__(STAP_RETVALUE = (s64)(__VA_ARGS__);)                                    \
		goto out;                                                                          \
	} while (0)
#define SW_RETURN_STRING(...)                                                                      \
	do {                                                                                       \
		__VA_OPT__(sw_copy(c, STAP_RETVALUE, MAXSTRINGLEN, __VA_ARGS__);)                  \
		goto out;                                                                          \
	} while (0)
#define SW_RETURN_NOTHING(...) goto out

#define STAP_ERROR(...)                                                                            \
	do {                                                                                       \
		snprintf(c->error_text, sizeof(c->error_text), __VA_ARGS__);                       \
		c->error = c->error_text;                                                          \
		goto out;                                                                          \
	} while (0)

/*
 * kread() and kwrite() - fault-safe access to `*pointer`, a number or a pointer
 *
 * If the access fails, the error is noted, and the function goes on after its
 * CATCH_DEREF_FAULT().
 */
#define kread(pointer)                                                                             \
	({                                                                                         \
		u64 value_ = sw_kernel_read(c, (u64)(pointer), sizeof(*(pointer)));                \
		if (unlikely(c->error))                                                            \
			goto deref_fault;                                                          \
		(__typeof__(*(pointer)))value_;                                                    \
	})
#define kwrite(pointer, value)                                                                     \
	({                                                                                         \
		sw_kernel_write(c, (u64)(pointer), (s64)(value), sizeof(*(pointer)));              \
		if (unlikely(c->error))                                                            \
			goto deref_fault;                                                          \
	})
#define CATCH_DEREF_FAULT()                                                                        \
	if (0) {                                                                                   \
	deref_fault:;                                                                              \
	}

/* For C that supports several versions of SystemTap. */
#define STAP_VERSION(major, minor) ((major)*1000 + (minor))
#define STAP_COMPAT_VERSION	   STAP_VERSION(5, 2)

/* Leaves the function in favour of its next overload: the caller tests sw_next_wanted(). */
#define STAP_NEXT                                                                                  \
	do {                                                                                       \
		c->next = true;                                                                    \
		goto out;                                                                          \
	} while (0)

static inline bool sw_next_wanted(const struct sw_context *c)
{
	return c->next;
}

/* The script defines SW_PRINT_SITE: the manifest's entry for prints of embedded C. */
#define STAP_PRINTF(...) sw_embedded_printf(c, SW_PRINT_SITE, __VA_ARGS__)

/* Bytes of one formatted print, its NUL included. */
#define SW_PRINT_ROOM 1024

/* Formats straight into a record. What does not fit is cut and counted. */
static void __maybe_unused __attribute__((__format__(__printf__, 3, 4)))
sw_embedded_printf(struct sw_context *c, u32 site, const char *format, ...)
{
	u8 *record = sw_event_begin(c, SW_EVENT_PRINT, site, sw_string_room(SW_PRINT_ROOM));
	va_list args;
	s64 n;

	if (!record)
		return;
	va_start(args, format);
	n = vsnprintf((char *)record + 8, SW_PRINT_ROOM, format, args);
	va_end(args);
	if (n >= SW_PRINT_ROOM) {
		n = SW_PRINT_ROOM - 1;
		c->counts->strings_cut++;
	}
	*(u64 *)record = (u64)n;
	sw_event_commit(c, record + 8 + (((u64)n + 7) & ~7ULL));
}

/*
 * strlcpy() and strlcat() for existing scripts: newer kernels and older C libraries
 * do not have them.
 */
static inline size_t sw_strlcpy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);

	if (size) {
		size_t n = length < size ? length : size - 1;

		memcpy(to, from, n);
		to[n] = 0;
	}
	return length;
}

static inline size_t sw_strlcat(char *to, const char *from, size_t size)
{
	size_t used = strnlen(to, size);

	return used + (used < size ? sw_strlcpy(to + used, from, size - used) : strlen(from));
}

#undef strlcpy
#undef strlcat
#define strlcpy sw_strlcpy
#define strlcat sw_strlcat

#endif
