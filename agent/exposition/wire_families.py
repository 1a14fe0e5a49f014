# SPDX-License-Identifier: GPL-2.0-or-later
"""A family as the protobuf message MetricFamily, from cached pages of its elements.

The message begins with its length, so all of its pages are rendered before its first byte is known. Meanwhile
`render` yields nothing at all now and then, so that other tasks can run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.config.settings import Histograms, MetricType
from agent.exposition import wire
from agent.exposition.families import Family, Member
from agent.exposition.page_cache import Pages
from agent.exposition.samples import Window
from agent.exposition.wire_samples import (
    Classic,
    Infos,
    Native,
    Numbers,
    Summaries,
    Templates,
    WireSamples,
)
from runtime.reader.table import TableValues
from runtime.support.escapes import readable
from runtime.support.exhaustive import assert_never

_TYPES = {
    MetricType.COUNTER: wire.MetricType.COUNTER,
    MetricType.GAUGE: wire.MetricType.GAUGE,
    MetricType.INFO: wire.MetricType.GAUGE,
    MetricType.SUMMARY: wire.MetricType.SUMMARY,
    MetricType.HISTOGRAM: wire.MetricType.HISTOGRAM,
}


class WireFamily:
    """`window`: of a family of histograms."""

    def __init__(self, family: Family, window: Window | None = None) -> None:
        self._family, self._window = family, window
        # as in text format 0.0.4
        endings = {MetricType.COUNTER: "_total", MetricType.INFO: "_info"}
        self._name = family.name + endings.get(family.type, "")
        # by member: with what they were made for, the start that they say and whether counts are doubles
        self._pages: dict[int, tuple[tuple[int, bool], Pages]] = {}

    @property
    def pages(self) -> list[tuple[Member, Pages]]:
        """Those of the last rendering."""
        members = self._family.members
        return [(members[n], pages) for n, (_, pages) in self._pages.items()]

    def clear(self) -> None:
        """The window has changed."""
        self._pages.clear()

    def render(self, found: Sequence[tuple[int, TableValues]]) -> Iterator[bytes]:
        """`found`: values by the number of the member."""
        family, parts = self._family, []
        for n, values in found:
            for part in self._of(n, values).render(values):
                parts.append(part)
                yield b""
        if parts:
            kind, help_ = _TYPES[family.type], readable(family.help)
            yield from wire.family(self._name, help_, kind, family.unit, parts)

    def _of(self, n: int, values: TableValues) -> Pages:
        member = self._family.members[n]
        made_for = 0 if member.kept else values.started_ns, values.filled is not None
        known = self._pages.get(n)
        if known is None or known[0] != made_for:
            samples = self._samples(member, *made_for)
            known = self._pages[n] = made_for, Pages(member, samples, Templates(member, samples))
        return known[1]

    def _samples(self, member: Member, started: int, doubles: bool) -> WireSamples:
        family, window = self._family, self._window
        match family.type:
            case MetricType.COUNTER | MetricType.GAUGE:
                return Numbers(family, member, started)
            case MetricType.INFO:
                return Infos(member)
            case MetricType.SUMMARY:
                return Summaries(member, started)
            case MetricType.HISTOGRAM:
                assert window is not None
                if family.histograms is Histograms.CLASSIC:
                    return Classic(member, window, started)
                return Native(member, window, family.histograms is Histograms.BOTH, doubles)
            case _:
                assert_never(family.type)
