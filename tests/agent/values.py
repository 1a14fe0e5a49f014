# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables and their values, built by hand: what a snapshot would hold."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.manifest import (
    Histogram,
    HistogramKind,
    Key,
    Manifest,
    Statistic,
    Storage,
    Table,
    ValueType,
)

LOG2 = Histogram(HistogramKind.LOG2, word=1, buckets=65)


def number(name: str, *keys: str, monotonic: bool = True) -> Table:
    """An array of numbers with text keys; without keys a scalar."""
    return Table(name, Storage.PERCPU, ValueType.LONG, _keys(keys), 0, 8, monotonic=monotonic)


def statistic(name: str, *keys: str, histogram: Histogram | None = LOG2) -> Table:
    kept = Statistic(count=None if histogram else 1, sum=0, histogram=histogram)
    return Table(name, Storage.PERCPU, ValueType.STAT, _keys(keys), 0, 8 * 70, statistic=kept)


def string(name: str, *keys: str) -> Table:
    return Table(name, Storage.SHARED, ValueType.STRING, _keys(keys), 0, 128)


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
