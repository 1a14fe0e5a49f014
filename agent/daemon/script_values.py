# SPDX-License-Identifier: GPL-2.0-or-later
"""The values of one script's metrics as JSON has them: raw, with what makes them the exported ones.

values("vfs", exposition, read)
-> [{"family": "stapwatch_vfs_reads", "type": "counter", "labels": ["execname"], "elements": 2,
     "keys": [["sshd"], ["cron"]], "values": [17, 4], "multiply": 1, "divide": 1, ...}]

A page of metrics has a text for each series, which a reader must parse and sort. Here a key stands once, and
only the largest elements are sent. Numbers stay the kernel's integers; the exported one is
value * `multiply` / `divide`, which a double gives correctly rounded if one of both is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from heapq import nlargest
from typing import Any

from agent.config.settings import MetricType
from agent.exposition.families import Family, Member
from agent.exposition.render import Exposition, Reader
from agent.exposition.samples import OVERFLOW_LABEL
from runtime.abi.histogram import upper_bounds
from runtime.reader.merge import StatValue
from runtime.reader.table import TableValues, Value
from runtime.reader.table_keys import OTHER

MOST = 20_000  # elements of one metric that are sent


def values(script: str, exposition: Exposition, read: Reader) -> list[dict[str, Any]]:
    """One entry for each exported global that can be read. It takes long for many elements: use a thread."""
    return [
        _metric(family, member, found)
        for family, member in exposition.of(script)
        if (found := read(member)) is not None
    ]


def _metric(family: Family, member: Member, found: TableValues) -> dict[str, Any]:
    multiply, divide = _factors(member.scale)
    pairs = _largest(_elements(member, found), len(found))
    tree: dict[str, Any] = {
        "global": member.table.name,
        "family": family.name,
        "type": family.type.value,
        "unit": family.unit,
        "help": family.help,
        "labels": list(member.labels),
        "constant": dict(member.constant),
        "multiply": multiply,
        "divide": divide,
        "elements": len(found),
        "keys": [key for key, _ in pairs],
    }
    statistic = member.table.statistic
    if family.type is MetricType.HISTOGRAM:
        assert statistic is not None and statistic.histogram is not None
        rows = [(v.buckets, v.sum) for _, v in pairs if isinstance(v, StatValue)]
        filled = _filled([buckets for buckets, _ in rows])
        tree["bounds"] = [*upper_bounds(statistic.histogram), None][filled]
        tree["values"] = [[buckets[filled], total] for buckets, total in rows]
    elif statistic is not None:
        tree["values"] = [[v.count, v.sum] for _, v in pairs if isinstance(v, StatValue)]
    else:
        tree["values"] = [value for _, value in pairs]
    return tree


def _elements(member: Member, found: TableValues) -> Iterator[tuple[list[Any], Value]]:
    """The key as JSON has it, and the value. What found the array full has the key of the series `other`."""
    has_other = bool(found.key_pages) and found.key_pages[-1] is OTHER
    last = len(found) - 1 if has_other else -1
    for number, (key, value) in enumerate(zip(found.keys, found.values, strict=True)):
        yield (_other(member) if number == last else list(key)), value


def _other(member: Member) -> list[Any]:
    return [OVERFLOW_LABEL] + [""] * (len(member.labels) - 1)


def _largest(pairs: Iterator[tuple[list[Any], Value]], count: int) -> list[tuple[list[Any], Value]]:
    return (
        list(pairs) if count <= MOST else nlargest(MOST, pairs, key=lambda pair: _weight(pair[1]))
    )


def _weight(value: Value) -> int:
    if isinstance(value, StatValue):
        return value.count or 0
    return value if isinstance(value, int) else 0


def _filled(rows: list[tuple[int, ...]]) -> slice:
    """The buckets from the first to the last that any row has filled."""
    columns = [n for n, column in enumerate(zip(*rows, strict=True)) if any(column)]
    return slice(columns[0], columns[-1] + 1) if columns else slice(0)


def _factors(scale: Decimal) -> tuple[int, int]:
    return scale.as_integer_ratio()
