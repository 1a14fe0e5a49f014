# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests are driven hard, at random from a seed, and must come out whole: `make torture`.

workloads.py    what is probed, and how its events are made: one row each
disturb.py      what goes on beside it: one function each
rounds.py       in the guest: one round, from loading to unloading
judge.py        what a round must look like when it is over
driver.py       rounds until the time is up, in guest after guest
soak.py         the service at full speed for minutes, whose memory must not grow
"""
