# SPDX-License-Identifier: GPL-2.0-or-later
"""Debug information (DWARF) of ELF files: functions, variables, types and source lines.

    debug_files   program -> the file that has its DWARF: itself, or a separate one
    linked_object a module of the kernel, whose sections get addresses
    reader        that file's entries (DIEs) and line tables, read by pyelftools
    scan, index   a fast pass over all entries -> names, cached for the next use of the same file
    dwarf_types   entries -> types in the numbering that BTF has begun
    functions     functions and their inline instances; the variables that are visible at an address
    operations    the names of operations
    expressions   location expressions -> values of `compiler.ir.program`;  frames: where a frame is
    call_frames   .eh_frame -> rows: where the caller's registers are;  unwind_table: those of a file, compact

No file of another room is imported but for ELF, types and values: a kernel's DWARF is read the same way.
Nothing imports this room unless a script names something that only DWARF knows, or walks a program's stack.
"""
