# SPDX-License-Identifier: GPL-2.0-or-later
"""End-of-run globals: globals that no handler reads are printed when the run ends, as SystemTap does.

n=3                                            opens["sshd",22]=17
sizes @count=2 @min=1 @max=5 @sum=6 @avg=3     sizes["sshd"] @count=...

The kernel prints none of this: the values come from the last snapshot of the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runtime.abi.manifest import Table
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import Value
from runtime.reader.table_keys import KeyTuple


def lines(shot: Snapshot) -> Iterator[str]:
    """The lines of every table that the manifest marks for printing, with their newlines."""
    for values in shot.tables:
        if values.table.display:
            yield from table(values.table, values.keys, values.values)


def table(table: Table, keys: Sequence[KeyTuple], values: Sequence[Value]) -> Iterator[str]:
    """The line of a scalar, or one line per element of an array."""
    name = table.name
    if not table.keys:
        yield f"{name}{_value(values[0])}\n"
        return
    for key, value in sorted(zip(keys, values, strict=True), key=_rank, reverse=True):
        if isinstance(value, StatValue) and not value.count:
            continue
        shown = ",".join(str(k) if isinstance(k, int) else f'"{k}"' for k in key)
        yield f"{name}[{shown}]{_value(value)}\n"


def _rank(element: tuple[object, Value]) -> int | str:
    """The sort key of an element, largest first: its value, or the count of a statistic."""
    _, value = element
    return (value.count or 0) if isinstance(value, StatValue) else value


def _value(value: Value) -> str:
    match value:
        case int():
            return f"={value}"
        case str():
            return f'="{value}"'
        case StatValue(count=0 | None):
            return " @count=0x0"
        case StatValue():
            return (
                f" @count={value.count} @min={value.min} @max={value.max}"
                f" @sum={value.sum} @avg={value.avg}"
            )
