/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaching to a function of a program, given by the parameters `file` and `offset`. */
#ifndef HAND_USER_H
#define HAND_USER_H

#include <linux/namei.h>
#include <linux/uprobes.h>
#include "compat.h"
#include "hand.h"

static char *file;
module_param(file, charp, 0400);
static unsigned long offset;
module_param(offset, ulong, 0400);

static struct path hand_program;
static struct uprobe *hand_uprobe;

static int hand_place_user(struct uprobe_consumer *consumer)
{
	int error = kern_path(file, LOOKUP_FOLLOW, &hand_program);

	if (error)
		return error;
	error = sw_uprobe_register(&hand_uprobe, d_inode(hand_program.dentry), offset, 0, consumer);
	if (error)
		path_put(&hand_program);
	return error;
}

static void hand_remove_user(struct uprobe_consumer *consumer)
{
	sw_uprobe_unregister(hand_uprobe, d_inode(hand_program.dentry), offset, consumer);
	sw_uprobe_wait();
	path_put(&hand_program);
}

#endif
