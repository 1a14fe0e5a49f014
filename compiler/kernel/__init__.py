# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about the kernel to compile for, from the files that it ships: no debuginfo.

    kernel.Kernel -> btf (types, prototypes, constants) -> type_layout (member offsets), c_types (C)
                  -> tracepoints, symbols, text_offsets, unsafe_text, config, headers, build-id

A fact belongs here if it can be read from a kernel's own files or from /proc and /sys. Facts about one
architecture are in compiler/arch. Every failure is an `errors.KernelFactError` with a message and a
hint.
"""
