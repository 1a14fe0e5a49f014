# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers for all packages that know nothing of modules or scripts: records, lazy patterns, memory.

This is the bottom floor: what is here imports nothing of ours, and is imported by every process, so it has
to be small.
"""
