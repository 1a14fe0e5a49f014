# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about programs and libraries, read from their files without debuginfo.

    Files -> paths;  Executable -> functions, marks, needed libraries;  libraries() -> the linker's choice

What a probe on a program needs from files may enter; what it hooks is decided in compiler/probes.
"""
