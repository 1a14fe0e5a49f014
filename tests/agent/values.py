# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables and their values, built by hand as a snapshot holds them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.abi.manifest import (
    Histogram,
    HistogramKind,
    Key,
    Manifest,
    Statistic,
    Storage,
    Table,
    ValueType,
)
from runtime.reader.merge import StatValue
from runtime.reader.table import TableValues, per_page
from runtime.reader.table_keys import KeyPage
from runtime.reader.table_rows import counts_of
from runtime.support.record import replace

LOG2 = Histogram(HistogramKind.LOG2, word=1, buckets=65)


def number(name: str, *keys: str, monotonic: bool = True) -> Table:
    """An array of numbers with text keys; without keys a scalar."""
    return Table(name, Storage.PERCPU, ValueType.LONG, _keys(keys), 0, 8, monotonic=monotonic)


def statistic(name: str, *keys: str, histogram: Histogram | None = LOG2) -> Table:
    kept = Statistic(count=None if histogram else 1, sum=0, histogram=histogram)
    return Table(name, Storage.PERCPU, ValueType.STAT, _keys(keys), 0, 8 * 70, statistic=kept)


def string(name: str, *keys: str) -> Table:
    return Table(name, Storage.SHARED, ValueType.STRING, _keys(keys), 0, 128)


def rows(table: Table, found: Mapping[Any, Any]) -> TableValues:
    """The values that a reader finds: keys of any type with their values."""
    keys, size = list(found), per_page(table)
    pages = []
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        pages.append(KeyPage(repr(part).encode(), None, len(part), lambda _, part=part: part))  # type: ignore[misc]
    data = b"".join(_row(table, value) for value in found.values())
    return TableValues(table, tuple(pages), data, 0, columns=(data,))


def as_doubles(found: TableValues) -> TableValues:
    """The same values as a module gives them if their counts may be doubles."""
    counts, size = counts_of(found.table), found.table.row_size
    assert counts is not None
    number = counts.stop - counts.start
    made, filled = bytearray(found.rows), set()
    for at in range(0, len(made), size):
        seen = struct.unpack_from(f"{number}q", made, at + 8 * counts.start)
        struct.pack_into(f"{number + 1}d", made, at + 8 * counts.start, *seen, sum(seen))
        filled |= {i for i, count in enumerate(seen) if count}
    range_ = min(filled, default=number), max(filled, default=-1) + 1
    return replace(found, rows=bytes(made), columns=(), filled=range_)


def _row(table: Table, value: int | str | StatValue) -> bytes:
    match value:
        case int():
            return struct.pack("q", value)
        case str():
            return value.encode(errors="surrogateescape").ljust(table.row_size, b"\0")
        case StatValue():
            layout, words = table.statistic, [0] * (table.row_size // 8)
            assert layout is not None
            if layout.count is not None:
                words[layout.count] = value.count or 0
            for name in ("sum", "min", "max"):
                word = getattr(layout, name)
                if word is not None:
                    words[word] = getattr(value, name) or 0
            if layout.histogram is not None:
                word = layout.histogram.word
                words[word : word + len(value.buckets)] = value.buckets
            return struct.pack(f"{len(words)}q", *words)


def _keys(names: Sequence[str]) -> tuple[Key, ...]:
    return tuple(Key(name, ValueType.STRING, 16 * n, 16) for n, name in enumerate(names))


def manifest(*tables: Table, name: str = "s") -> Manifest:
    return Manifest(
        name=name,
        module=f"sw_{name}",
        identity="0",
        release="6.1.0",
        build_id="",
        compiler="0",
        shared_size=0,
        lane_size=0,
        probe_status=0,
        probe_counts=0,
        lane_counts=0,
        probes=(),
        tables=tables,
        prints=(),
        errors=(),
    )
