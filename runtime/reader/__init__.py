# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules in the running kernel: loading them, mapping their memory, reading tables and events.

What asks the kernel about a module may enter. How series are named and served is the agent's.
"""
