# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules in the running kernel: loading them, mapping their memory, reading tables and events.

Code that queries the kernel about a module may enter. The agent decides how series are named and served.
"""
