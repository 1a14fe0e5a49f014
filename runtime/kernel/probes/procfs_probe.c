// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files below /proc/stapwatch-NAME whose readers and writers run a handler.
 *
 * Reading a file runs the handler once for each time that it is opened; each write()
 * runs it once. Where the handler does not run, the call fails, and the hit is counted.
 *
 * Two locks: hook.c's mutex is held where files are created and removed, so the
 * tree of nodes has one writer and no concurrent reader. procfs_mutex is held while
 * a handler runs, which is one at a time: procfs_current is the open file whose
 * text that handler's $value is. It also protects the nodes' `read` and `write`. It
 * must not be held while files are removed: proc_remove() waits for whoever reads
 * or writes, and those take it.
 */
#include <linux/proc_fs.h>
#include "probes/hook.h"

#define PROCFS_VALUE_SIZE 512 /* bytes of $value, unless .maxsize says otherwise */

/*
 * A file or a directory by its path. A read and a write probe of one path share the
 * file.
 */
struct procfs_node {
	struct procfs_node *next;
	struct proc_dir_entry *entry;
	bool directory;
	struct sw_attachment *read, *write; /* NULL: detached; under procfs_mutex */
	char path[];
};

/* An open file. */
struct procfs_opened {
	bool read;
	u32 length, size;
	char text[];
};

static DEFINE_MUTEX(procfs_mutex);
static struct procfs_opened *procfs_current; /* and the flag below: under procfs_mutex */
static bool procfs_refused;		     /* the handler's condition is false */
static struct procfs_node *procfs_nodes;     /* and the number below: under hook.c's mutex */
static u32 procfs_nr_attached;

const char *sw_procfs_value(void)
{
	return procfs_current->text;
}

void sw_procfs_append(struct sw_context *c, const char *text)
{
	struct procfs_opened *opened = procfs_current;
	char *end = opened->text + opened->length;

	sw_copy(c, end, opened->size - opened->length, text);
	opened->length += sw_measure(c, end);
}

void sw_procfs_set(struct sw_context *c, const char *text)
{
	procfs_current->length = 0;
	sw_procfs_append(c, text);
}

void sw_procfs_refuse(void)
{
	procfs_refused = true;
}

/*
 * Runs a handler, and tells from the probe's counts whether it did run. Preemption is off,
 * and no other handler of this probe runs meanwhile, so what changes in this CPU's counts
 * is this hit.
 *
 * Returns 0; -EBUSY if handlers are disabled, because the script is starting or has ended,
 * if the handler waited for a lock in vain, which skipped_lock counts already, or if its
 * condition is false: that is one of `hits`. Not -EAGAIN: programs do not expect that of a file that they opened without O_NONBLOCK.
 */
static int procfs_run(struct sw_attachment *a, struct procfs_opened *opened)
{
	void (*handler)(void) = a->probe->handler;
	const struct sw_probe_counts *counts;
	struct sw_probe_counts before;
	bool entered, gave_up;

	procfs_current = opened;
	procfs_refused = false;
	sw_preempt_disable();
	counts = (void *)((char *)sw_this_cpu_area() + sw_script.lane_offset +
			  sw_script.probe_counts);
	counts += a->index;
	before = *counts;
	handler();
	entered = counts->hits != before.hits;
	gave_up = counts->skipped_lock != before.skipped_lock;
	sw_preempt_enable();
	if (!entered)
		WRITE_ONCE(a->missed, a->missed + 1);
	return entered && !gave_up && !procfs_refused ? 0 : -EBUSY;
}

/*
 * Runs the handler, unless the probe has been detached: then its condition is false, or the
 * script has ended. The mutex is held until the
 * handler returns, so procfs_set_probe() waits for it. It also makes this the only
 * place that adds to `missed` while the probe is attached.
 */
static int procfs_handle(struct sw_attachment **attachment, struct procfs_opened *opened)
{
	int error = -EBUSY;

	if (mutex_lock_killable(&procfs_mutex))
		return -EINTR;
	if (*attachment)
		error = procfs_run(*attachment, opened);
	mutex_unlock(&procfs_mutex);
	return error;
}

static u32 procfs_value_size(const struct sw_attachment *a)
{
	return a ? a->probe->procfs.value_size ?: PROCFS_VALUE_SIZE : 0;
}

static int procfs_file_open(struct inode *inode, struct file *file)
{
	struct procfs_node *node = sw_pde_data(inode);
	struct procfs_opened *opened;
	u32 size;

	if (mutex_lock_killable(&procfs_mutex))
		return -EINTR;
	size = max(procfs_value_size(node->read), procfs_value_size(node->write)) + 1;
	mutex_unlock(&procfs_mutex);
	opened = kvzalloc(sizeof(*opened) + size, SW_GFP);
	if (!opened)
		return -ENOMEM;
	opened->size = size;
	file->private_data = opened;
	return 0;
}

static int procfs_file_release(struct inode *inode, struct file *file)
{
	kvfree(file->private_data);
	return 0;
}

static ssize_t procfs_file_read(struct file *file, char __user *to, size_t room, loff_t *position)
{
	struct procfs_node *node = sw_pde_data(file_inode(file));
	struct procfs_opened *opened = file->private_data;
	int error;

	if (!opened->read) {
		opened->length = 0;
		opened->text[0] = 0;
		error = procfs_handle(&node->read, opened);
		if (error)
			return error;
		opened->read = true;
	}
	return simple_read_from_buffer(to, room, position, opened->text, opened->length);
}

static ssize_t procfs_file_write(struct file *file, const char __user *from, size_t size,
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
	error = procfs_handle(&node->write, opened);
	return error ?: (ssize_t)size;
}

static const struct proc_ops procfs_operations = {
	.proc_open = procfs_file_open,
	.proc_read = procfs_file_read,
	.proc_write = procfs_file_write,
	.proc_lseek = default_llseek,
	.proc_release = procfs_file_release,
};

static struct procfs_node *procfs_find(const char *path, size_t length)
{
	struct procfs_node *node = procfs_nodes;

	while (node && (strncmp(node->path, path, length) || node->path[length]))
		node = node->next;
	return node;
}

static struct procfs_node *procfs_add(const char *path, size_t length)
{
	struct procfs_node *node = kzalloc(sizeof(*node) + length + 1, SW_GFP);

	if (!node)
		return NULL;
	memcpy(node->path, path, length);
	node->next = procfs_nodes;
	procfs_nodes = node;
	return node;
}

/*
 * The directory that is the first `length` bytes of a path; "" is our own. Creates
 * it and those above it.
 */
static struct proc_dir_entry *procfs_directory(const char *path, size_t length)
{
	struct procfs_node *node = procfs_find(path, length);
	struct proc_dir_entry *above = NULL;
	size_t start = length;
	char own[80];

	if (node)
		return node->directory ? node->entry : NULL;
	if (length) {
		while (start && path[start - 1] != '/')
			start--;
		above = procfs_directory(path, start ? start - 1 : 0);
		if (!above)
			return NULL;
	}
	node = procfs_add(path, length);
	if (!node)
		return NULL;
	node->directory = true;
	snprintf(own, sizeof(own), "stapwatch-%s", sw_script.name);
	node->entry = proc_mkdir(length ? node->path + start : own, above);
	return node->entry;
}

static bool procfs_is_for(const struct sw_probe *probe, const char *path)
{
	return sw_hook_ops_of(probe) == &sw_procfs_ops && !strcmp(probe->symbol, path);
}

/* All probes of the path count, attached or not: the file keeps its mode. */
static umode_t procfs_mode(const char *path)
{
	umode_t mode = 0;
	u32 i;

	for (i = 0; i < sw_script.nr_probes; i++) {
		const struct sw_probe *probe = &sw_script.probes[i];
		umode_t all = probe->hook == SW_PROCFS_READ ? 0444 : 0222;

		if (procfs_is_for(probe, path))
			mode |= all &
				~(probe->procfs.umask < 0 ? 077 : (umode_t)probe->procfs.umask);
	}
	return mode;
}

static struct procfs_node *procfs_create_file(const struct sw_probe *probe)
{
	const char *path = probe->symbol, *name = strrchr(path, '/');
	struct proc_dir_entry *above = procfs_directory(path, name ? (size_t)(name - path) : 0);
	struct procfs_node *node = above ? procfs_add(path, strlen(path)) : NULL;

	if (!node)
		return NULL;
	name = name ? name + 1 : path;
	node->entry = proc_create_data(name, procfs_mode(path), above, &procfs_operations, node);
	return node;
}

/*
 * proc_remove() waits for the callers of procfs_file_*() and lets no new ones in;
 * open files do not call them any more. So nothing has a node when it is freed.
 */
static void procfs_remove_all(void)
{
	struct procfs_node *own = procfs_find("", 0);

	if (own)
		proc_remove(own->entry);
	while (procfs_nodes) {
		struct procfs_node *node = procfs_nodes;

		procfs_nodes = node->next;
		kfree(node);
	}
}

static void procfs_set_probe(struct sw_attachment **slot, struct sw_attachment *a)
{
	mutex_lock(&procfs_mutex);
	*slot = a;
	mutex_unlock(&procfs_mutex);
}

static struct sw_attachment **procfs_slot(struct procfs_node *node, const struct sw_probe *probe)
{
	return probe->hook == SW_PROCFS_READ ? &node->read : &node->write;
}

static int procfs_hook_attach(struct sw_attachment *a)
{
	const char *path = a->probe->symbol;
	struct procfs_node *node = procfs_find(path, strlen(path));
	int error = 0;

	if (!node)
		node = procfs_create_file(a->probe);
	else if (node->directory || *procfs_slot(node, a->probe))
		error = -EEXIST;
	if (!error && (!node || !node->entry))
		error = -ENOENT;
	if (error) {
		if (!procfs_nr_attached)
			procfs_remove_all();
		return error;
	}
	procfs_set_probe(procfs_slot(node, a->probe), a);
	a->hook = node;
	procfs_nr_attached++;
	return 0;
}

/* Waits for a running handler. Later readers and writers find no probe. */
static void procfs_hook_detach(struct sw_attachment *a)
{
	procfs_set_probe(procfs_slot(a->hook, a->probe), NULL);
	if (!--procfs_nr_attached)
		procfs_remove_all();
}

const struct sw_hook_ops sw_procfs_ops = {
	.attach = procfs_hook_attach,
	.detach = procfs_hook_detach,
};
