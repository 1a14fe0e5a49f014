/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts as IEEE 754 doubles: see struct sw_doubles. */
#ifndef STAPWATCH_DOUBLES_H
#define STAPWATCH_DOUBLES_H

/* The bits of the double that is nearest to a number; of two, the even one. No FPU is used. */
u64 sw_double(u64 number);

/* Converts the counts of some rows, which are sums of lanes, and notes which are not 0. */
void sw_doubles_make(struct sw_doubles *request, u64 *rows, u32 nr_rows);

#endif
