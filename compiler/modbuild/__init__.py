# SPDX-License-Identifier: GPL-2.0-or-later
"""From generated C and a manifest to a kernel module file; `builder.Builder` is the entrance.

    fast_tier    the script's C is compiled and linked with objects prepared once for a kernel (kernel_kit)
    kbuild_tier  the kernel's own build system; the fallback, and the source of the fast tier's commands

Code that runs compilers, linkers and make belongs here. This room knows nothing about scripts.
"""
