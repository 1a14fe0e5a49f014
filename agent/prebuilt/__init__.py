# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that one machine builds and others run: `stapwatch build` fills a store, `stapwatch sync` fetches.

Both work beside the service and need none of its privileges. What is believed of what they have done is
decided elsewhere (`agent/store/`).
"""
