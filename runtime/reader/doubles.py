# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows whose counts a module has turned into doubles (SW_IOC_DOUBLES).

image.doubles(offset, rows=100, row_words=131, first=1, count=129)
-> Doubles(bytes of 100 rows, begin=72, end=100)
"""

from runtime.support.record import record


@record
class Doubles:
    """Sums of lanes: words of `rows`, of which the counts, and their sum behind them, are doubles. Counts
    `begin` to `end` are those that are not 0 in every row."""

    rows: bytes
    begin: int
    end: int
