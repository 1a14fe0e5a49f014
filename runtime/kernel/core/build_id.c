// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks that the running kernel is the one whose offsets are compiled into the
 * script.
 *
 * The kernel's own copy of its build-id is not exported, but its notes are a file:
 *
 *   { u32 name size | u32 description size | u32 type | name, padded to 4 |
 *     description, padded to 4 } ...
 */
#include <linux/elf.h>
#include "core/runtime.h"

#define BUILD_ID_NOTES	    "/sys/kernel/notes"
#define BUILD_ID_NOTES_SIZE 16384
#define BUILD_ID_TYPE	    3 /* NT_GNU_BUILD_ID, which older headers do not name */

/* Finds the build-id in `size` bytes of notes. Returns its size; 0 if there is none. */
static u32 build_id_find(const u8 *notes, u64 size, const u8 **id)
{
	u64 at = 0;

	while (at + sizeof(Elf64_Nhdr) <= size) {
		const Elf64_Nhdr *note = (const void *)(notes + at);
		u64 name = at + sizeof(*note);
		u64 description = name + ALIGN((u64)note->n_namesz, 4);
		u64 end = description + ALIGN((u64)note->n_descsz, 4);

		if (end > size)
			break;
		if (note->n_type == BUILD_ID_TYPE && note->n_namesz == 4 &&
		    !memcmp(notes + name, "GNU", 4)) {
			*id = notes + description;
			return note->n_descsz;
		}
		at = end;
	}
	return 0;
}

/* Reads the kernel's notes. Returns the number of bytes or a negative errno. */
static ssize_t build_id_read_notes(u8 *to, size_t size)
{
	struct file *file = filp_open(BUILD_ID_NOTES, O_RDONLY, 0);
	ssize_t got, total = 0;
	loff_t position = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	do {
		got = kernel_read(file, to + total, size - total, &position);
		if (got > 0)
			total += got;
	} while (got > 0 && total < size);
	filp_close(file, NULL);
	return got < 0 ? got : total;
}

int sw_build_id_check(bool trust)
{
	u8 *notes = kmalloc(BUILD_ID_NOTES_SIZE, SW_GFP);
	const u8 *id = NULL;
	ssize_t size;
	u32 id_size = 0;
	int error = 0;

	if (!notes)
		return -ENOMEM;
	size = build_id_read_notes(notes, BUILD_ID_NOTES_SIZE);
	if (size > 0)
		id_size = build_id_find(notes, size, &id);
	if (!id_size) {
		if (trust)
			goto out;
		sw_log(KERN_ERR,
		       "refused: the running kernel's build-id cannot be read from " BUILD_ID_NOTES
		       " (error %zd); load with trust=1 if you are sure",
		       size);
		error = -ENOEXEC;
	} else if (id_size != sw_script.build_id_size || memcmp(id, sw_script.build_id, id_size)) {
		sw_log(KERN_ERR,
		       "refused: made for the kernel with build-id %*phN, the running one has "
		       "%*phN",
		       (int)sw_script.build_id_size, sw_script.build_id, (int)id_size, id);
		error = -ENOEXEC;
	}
out:
	kfree(notes);
	return error;
}
