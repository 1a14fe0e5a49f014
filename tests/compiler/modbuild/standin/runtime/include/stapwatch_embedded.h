/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The header that the stand-in's embedded C includes: precompiled with the kernel's headers. */
#ifndef STAPWATCH_EMBEDDED_H
#define STAPWATCH_EMBEDDED_H

#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/sched.h>

#endif
