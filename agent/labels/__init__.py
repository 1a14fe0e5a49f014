# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels: what people call the things that an array's keys stand for.

`sources.py` plans which label is made of which key, `decoders.py` has one function a kind of key, and
`series.py` turns a table's elements into series: elements with the same labels are one series, whose value is
their sum. Code here reads what an unprivileged process may read of this host, once for each new thing.
"""
