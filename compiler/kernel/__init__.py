# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about the kernel to compile for, from what it ships: no debuginfo.

    release.Kernel -> btf (types, prototypes, constants) -> layout (member places), spelling (C)
                   -> tracepoints, syscalls, symbols, config, headers, build-id

Every failure is a `faults.KernelFactError` with a message and a hint.
"""
