# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about programs and libraries, read from their files without debuginfo.

    Files -> paths;  Executable -> functions, marks, needed libraries;  libraries() -> the linker's choice
    demangled() -> names as their source has them;  thread_local() -> where thread-local variables are

Facts that a probe on a program needs from files belong here; compiler/probes decides what it hooks.
"""
