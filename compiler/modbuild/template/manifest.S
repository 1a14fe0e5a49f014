/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manifest in the module, for its reader and for tools that inspect the file. */
	.section .stapwatch.manifest, "a", @progbits
	.globl	sw_manifest
	.type	sw_manifest, @object
sw_manifest:
	.incbin	"manifest.json"
	.globl	sw_manifest_end
	.type	sw_manifest_end, @object
sw_manifest_end:
	.size	sw_manifest, sw_manifest_end - sw_manifest

	.section .note.GNU-stack, "", @progbits
