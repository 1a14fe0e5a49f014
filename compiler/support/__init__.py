# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers that know nothing about scripts, kernels or modules: files, names, caches, ELF.

A module belongs here if two rooms of the compiler need it and it imports none of them. Each raises errors
of its own, which callers convert to theirs.
"""
