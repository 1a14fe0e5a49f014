# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers for all packages, without knowledge of modules or scripts: records, lazy patterns, memory.

This is the lowest layer: it imports no other package of the project, and every process imports it, so it has
to be small.
"""
