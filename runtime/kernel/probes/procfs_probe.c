// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * procfs.c - files below /proc/stapwatch-NAME whose readers and writers run a handler.
 *
 * Reading a file runs the handler once for each time that it is opened; each write() runs it once.
 * One handler runs at a time: `handling` is held, and `handled` is what its $value stands for.
 */
#include <linux/proc_fs.h>
#include "probes/hook.h"

#define SIZE 512 /* bytes of $value, unless .maxsize tells */

/* A file or a folder by its path. A read and a write probe of one path share the file. */
struct procfs_node {
	struct procfs_node *next;
	struct proc_dir_entry *entry;
	bool folder;
	const struct sw_probe *read, *write; /* under `handling` */
	char path[];
};

/* A file that somebody has opened. */
struct procfs_opened {
	bool read;
	u32 length, size;
	char text[];
};

static DEFINE_MUTEX(handling);
static struct procfs_opened *handled;
/* Under the arming mutex. */
static struct procfs_node *nodes;
static u32 nr_placed;

const char *sw_procfs_value(void)
{
	return handled->text;
}

void sw_procfs_append(struct sw_context *c, const char *text)
{
	sw_copy(c, handled->text + handled->length, handled->size - handled->length, text);
	handled->length += sw_length(handled->text + handled->length);
}

void sw_procfs_set(struct sw_context *c, const char *text)
{
	handled->length = 0;
	sw_procfs_append(c, text);
}

/* Runs the handler of a probe that may go meanwhile. */
static int handle(const struct sw_probe **probe, struct procfs_opened *opened)
{
	int error = -ENODEV;

	if (mutex_lock_killable(&handling))
		return -EINTR;
	if (*probe) {
		void (*handler)(void) = (*probe)->handler;

		handled = opened;
		handler();
		error = 0;
	}
	mutex_unlock(&handling);
	return error;
}

static u32 value_size(const struct sw_probe *probe)
{
	return probe ? (u32)probe->randomize ?: SIZE : 0;
}

static int procfs_open(struct inode *inode, struct file *file)
{
	struct procfs_node *node = sw_pde_data(inode);
	struct procfs_opened *opened;
	u32 size;

	if (mutex_lock_killable(&handling))
		return -EINTR;
	size = max(value_size(node->read), value_size(node->write)) + 1;
	mutex_unlock(&handling);
	opened = kvzalloc(sizeof(*opened) + size, GFP_KERNEL);
	if (!opened)
		return -ENOMEM;
	opened->size = size;
	file->private_data = opened;
	return 0;
}

static int procfs_release(struct inode *inode, struct file *file)
{
	kvfree(file->private_data);
	return 0;
}

static ssize_t procfs_read(struct file *file, char __user *to, size_t room, loff_t *position)
{
	struct procfs_node *node = sw_pde_data(file_inode(file));
	struct procfs_opened *opened = file->private_data;
	int error;

	if (!opened->read) {
		opened->read = true;
		opened->length = 0;
		opened->text[0] = 0;
		error = handle(&node->read, opened);
		if (error)
			return error;
	}
	return simple_read_from_buffer(to, room, position, opened->text, opened->length);
}

static ssize_t procfs_write(struct file *file, const char __user *from, size_t size,
			    loff_t *position)
{
	struct procfs_node *node = sw_pde_data(file_inode(file));
	struct procfs_opened *opened = file->private_data;
	int error;

	size = min_t(size_t, size, opened->size - 1);
	if (copy_from_user(opened->text, from, size))
		return -EFAULT;
	opened->text[size] = 0;
	opened->length = (u32)size;
	error = handle(&node->write, opened);
	return error ?: (ssize_t)size;
}

static const struct proc_ops procfs_operations = {
	.proc_open = procfs_open,
	.proc_read = procfs_read,
	.proc_write = procfs_write,
	.proc_lseek = default_llseek,
	.proc_release = procfs_release,
};

static struct procfs_node *find_node(const char *path, size_t length)
{
	struct procfs_node *node = nodes;

	while (node && (strncmp(node->path, path, length) || node->path[length]))
		node = node->next;
	return node;
}

static struct procfs_node *add_node(const char *path, size_t length)
{
	struct procfs_node *node = kzalloc(sizeof(*node) + length + 1, GFP_KERNEL);

	if (!node)
		return NULL;
	memcpy(node->path, path, length);
	node->next = nodes;
	nodes = node;
	return node;
}

/* The folder that is the first `length` bytes of a path, and those above it; "": our own. */
static struct proc_dir_entry *folder_at(const char *path, size_t length)
{
	struct procfs_node *node = find_node(path, length);
	struct proc_dir_entry *above = NULL;
	size_t start = length;
	char own[80];

	if (node)
		return node->folder ? node->entry : NULL;
	if (length) {
		while (start && path[start - 1] != '/')
			start--;
		above = folder_at(path, start ? start - 1 : 0);
		if (!above)
			return NULL;
	}
	node = add_node(path, length);
	if (!node)
		return NULL;
	node->folder = true;
	snprintf(own, sizeof(own), "stapwatch-%s", sw_script.name);
	node->entry = proc_mkdir(length ? node->path + start : own, above);
	return node->entry;
}

static bool is_of(const struct sw_probe *probe, const char *path)
{
	return (probe->hook == SW_PROCFS_READ || probe->hook == SW_PROCFS_WRITE) &&
	       !strcmp(probe->symbol, path);
}

static umode_t mode_of(const char *path)
{
	umode_t mode = 0;
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		const struct sw_probe *probe = &sw_script.probes[i];
		umode_t all = probe->hook == SW_PROCFS_READ ? 0444 : 0222;

		if (is_of(probe, path))
			mode |= all & ~(probe->number < 0 ? 077 : (umode_t)probe->number);
	}
	return mode;
}

static struct procfs_node *create_file(const struct sw_probe *probe)
{
	const char *path = probe->symbol, *name = strrchr(path, '/');
	struct proc_dir_entry *above = folder_at(path, name ? (size_t)(name - path) : 0);
	struct procfs_node *node = above ? add_node(path, strlen(path)) : NULL;

	if (!node)
		return NULL;
	name = name ? name + 1 : path;
	node->entry = proc_create_data(name, mode_of(path), above, &procfs_operations, node);
	return node;
}

static void remove_nodes(void)
{
	struct procfs_node *own = find_node("", 0);

	if (own)
		proc_remove(own->entry); /* waits for whoever reads or writes */
	while (nodes) {
		struct procfs_node *node = nodes;

		nodes = node->next;
		kfree(node);
	}
}

static void set_probe(const struct sw_probe **place, const struct sw_probe *probe)
{
	mutex_lock(&handling);
	*place = probe;
	mutex_unlock(&handling);
}

static const struct sw_probe **place_of(struct procfs_node *node, const struct sw_probe *probe)
{
	return probe->hook == SW_PROCFS_READ ? &node->read : &node->write;
}

static int procfs_place(struct sw_placement *p)
{
	const char *path = p->probe->symbol;
	struct procfs_node *node = find_node(path, strlen(path));
	int error = 0;

	if (!node)
		node = create_file(p->probe);
	else if (node->folder || *place_of(node, p->probe))
		error = -EEXIST;
	if (!error && (!node || !node->entry))
		error = -ENOENT;
	if (error) {
		if (!nr_placed)
			remove_nodes();
		return error;
	}
	set_probe(place_of(node, p->probe), p->probe);
	p->hook = node;
	nr_placed++;
	return 0;
}

static void procfs_remove(struct sw_placement *p)
{
	set_probe(place_of(p->hook, p->probe), NULL);
	if (!--nr_placed)
		remove_nodes();
}

const struct sw_hook_ops sw_procfs_hook = {
	.place = procfs_place,
	.remove = procfs_remove,
};
