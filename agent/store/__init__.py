# SPDX-License-Identifier: GPL-2.0-or-later
"""Stores of modules that another machine has compiled: their format, their signature, and what may come out.

builder -> store (an OCI image layout) -> web server or registry -> spool folder -> loader's cache

`agent/prebuilt/` fills stores and spool folders. Here is what both sides agree upon, and what the side that
loads modules checks before it believes a byte.
"""
