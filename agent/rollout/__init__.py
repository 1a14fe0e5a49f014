# SPDX-License-Identifier: GPL-2.0-or-later
"""Rollouts: which scripts of the configuration are to run on a host, when, and why not.

`host_facts.py` reads what a host is, `decide.py` decides by it, `plan.py` and `fleet.py` compare and count
decisions. Nothing here changes anything, and only the facts of this host are read from anywhere: what a
script does now comes in as `History`, and the time as a number.
"""
