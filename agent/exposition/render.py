# SPDX-License-Identifier: GPL-2.0-or-later
"""Renders the page that Prometheus scrapes, as text format 0.0.4, OpenMetrics 1.0 or protobuf.

b"".join(Exposition(families).render(read, Format.TEXT)) -> b"# HELP stapwatch_vfs_reads_total ..."
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final

from agent.config.settings import Histograms, MetricType
from agent.exposition import samples
from agent.exposition.families import Family, Member
from agent.exposition.page_cache import Pages, TextTemplates
from agent.exposition.samples import (
    Created,
    Infos,
    Numbers,
    Summaries,
    TextSamples,
    Window,
    negative,
)
from runtime.reader.table import TableValues
from runtime.support.escapes import readable
from runtime.support.exhaustive import assert_never

if TYPE_CHECKING:
    from agent.exposition.wire_families import WireFamily

Reader = Callable[[Member], TableValues | None]
Key = tuple[str, str]  # of a member: its script and its global
Found = list[tuple[int, TableValues]]  # by number of the member
# OpenMetrics has start times for series of these types.
_WITH_START: Final = (MetricType.COUNTER, MetricType.SUMMARY, MetricType.HISTOGRAM)


class Format(Enum):
    """The value is the content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def by_member(values: Mapping[Key, TableValues]) -> Reader:
    return lambda member: values.get((member.script, member.table.name))


class Exposition:
    """All families with their cached pages; replaced when a reload changes the families.

    The pages of families that are as they were `before` are the same objects, with what they have cached.
    `created`: OpenMetrics has `_created` samples.
    """

    def __init__(
        self, families: Sequence[Family], before: Exposition | None = None, created: bool = False
    ) -> None:
        self.families, self.created = tuple(families), created
        if before is not None and before.created != created:
            before = None
        known = {family.name: family for family in before.families} if before is not None else {}
        kept: dict[str, _FamilyPages] = before._pages if before is not None else {}
        self._pages: dict[str, _FamilyPages] = {
            family.name: kept[family.name]
            if known.get(family.name) == family
            else _FamilyPages(family, created)
            for family in self.families
        }

    def render(self, read: Reader, form: Format) -> Iterator[bytes]:
        """All families as parts of a page, without OpenMetrics' `# EOF`. Not reentrant.

        `read` returns the current rows of a table, or None if they cannot be read. It is called once per
        member, before the first part of the member's family. A part may be empty: other tasks may run then.
        """
        for family in self.families:
            found = [
                (n, rows) for n, m in enumerate(family.members) if (rows := read(m)) is not None
            ]
            start = header(family, form)
            for part in self._pages[family.name].render(found, form):
                if start:
                    yield start
                    start = b""
                yield part

    def doubles(self, form: Format) -> dict[str, set[str]]:
        """By script, the globals of which this format needs counts as doubles only."""
        found: dict[str, set[str]] = {}
        if form is Format.PROTOBUF:
            for family in self.families:
                if family.histograms is Histograms.NATIVE:
                    for member in family.members:
                        if member.doubles:
                            found.setdefault(member.script, set()).add(member.table.name)
        return found

    def of(self, script: str) -> Iterator[tuple[Family, Member]]:
        """Each table of a script that is exported, with its family."""
        for family in self.families:
            for member in family.members:
                if member.script == script:
                    yield family, member

    def elements(self, read: Reader) -> Iterator[tuple[Member, int, int]]:
        """For each member, its elements, and the samples of one by the buckets of the last rendering."""
        for family in self.families:
            pages = self._pages[family.name]
            for member in family.members:
                if (rows := read(member)) is not None:
                    yield member, len(rows), pages.samples(member)

    def refused(self) -> Counter[str]:
        """Samples that the last rendering excluded because a counter must not be negative, by script."""
        found: Counter[str] = Counter()
        for family in self.families:
            for member, count in self._pages[family.name].refused():
                found[member.script] += count
        return found


class _FamilyPages:
    """The pages of one family: text with all of its samples, text without those that OpenMetrics forbids, and
    protobuf. Histograms share one window of bounds. `created`: in OpenMetrics there are `_created` samples.
    """

    def __init__(self, family: Family, created: bool) -> None:
        self._family = family
        self._created = created and family.type in _WITH_START
        self._window = Window(family.members) if family.type is MetricType.HISTOGRAM else None
        # by member and whether the samples are whole: with the start that they say
        self._texts: dict[tuple[int, bool], tuple[int, Pages]] = {}
        self._wire: WireFamily | None = None
        # the last rendering
        self._form = Format.TEXT
        self._shown: list[tuple[Member, Pages]] = []

    def render(self, found: Found, form: Format) -> Iterator[bytes]:
        members, self._form, self._shown = self._family.members, form, []
        for n, rows in found:
            if self._window is not None and self._window.widen(members[n], rows):
                self._texts.clear()
                self._wire = None
        if form is Format.PROTOBUF:
            self._wire = self._wire or _wire(self._family, self._window)
            yield from self._wire.render(found)
            self._shown = self._wire.pages
            return
        whole = form is Format.TEXT or self._is_whole(found)
        for n, rows in found:
            pages = self._of(n, rows, whole)
            yield from pages.render(rows)
            self._shown.append((members[n], pages))

    def _of(self, n: int, rows: TableValues, whole: bool) -> Pages:
        member = self._family.members[n]
        started = rows.started_ns if self._says_start(member) else 0
        known = self._texts.get((n, whole))
        if known is None or known[0] != started:
            made = self._samples(member, whole)
            if started:
                made = Created(made, self._family, started)
            pages = Pages(member, made, TextTemplates(member, made))
            known = self._texts[n, whole] = started, pages
        return known[1]

    def _says_start(self, member: Member) -> bool:
        return self._created and self._form is Format.OPENMETRICS and not member.kept

    def _samples(self, member: Member, whole: bool) -> TextSamples:
        family = self._family
        match family.type:
            case MetricType.COUNTER | MetricType.GAUGE:
                return Numbers(family, member)
            case MetricType.INFO:
                return Infos(family, member)
            case MetricType.SUMMARY:
                return Summaries(family, member, whole)
            case MetricType.HISTOGRAM:
                assert self._window is not None
                return samples.Histograms(family, member, self._window, whole)
            case _:
                assert_never(family.type)

    def _is_whole(self, found: Found) -> bool:
        """True if OpenMetrics allows all samples of the family."""
        match self._family.type:
            case MetricType.SUMMARY:
                return False
            case MetricType.HISTOGRAM:
                assert self._window is not None
                members = self._family.members
                return not (
                    self._window.negative or any(_no_sum(members[n], rows) for n, rows in found)
                )
            case _:
                return True

    def refused(self) -> Iterator[tuple[Member, int]]:
        return ((member, pages.refused) for member, pages in self._shown)

    def samples(self, member: Member) -> int:
        """The samples of one element."""
        created = int(self._says_start(member))
        if self._window is not None:
            if self._form is Format.PROTOBUF and self._family.histograms is Histograms.NATIVE:
                return 1  # a series of histograms
            # +Inf, the sum and the count
            return max(0, self._window.high - self._window.low) + 3 + created
        return (2 if self._family.type is MetricType.SUMMARY else 1) + created


def _wire(family: Family, window: Window | None) -> WireFamily:
    from agent.exposition.wire_families import WireFamily  # few scrapers ask for protobuf

    return WireFamily(family, window)


def _no_sum(member: Member, found: TableValues) -> bool:
    """True if OpenMetrics forbids the sum, because it may decrease, or there is no sum."""
    statistic = member.table.statistic
    assert statistic is not None
    if statistic.sum is None:
        return True
    width = member.table.row_size // 8
    return any(negative(rows, statistic.sum, width) for _, rows in found.pages() if rows)


def header(family: Family, form: Format) -> bytes:
    """The lines in front of a family's samples in text; protobuf has the family's length in front."""
    if form is Format.PROTOBUF:
        return b""
    name = family.name
    text = readable(family.help).replace("\\", "\\\\").replace("\n", "\\n")
    if form is Format.OPENMETRICS:
        text = text.replace('"', '\\"')
        unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
        return f"# HELP {name} {text}\n# TYPE {name} {family.type}\n{unit}".encode()
    kind: str = family.type
    if family.type is MetricType.COUNTER:
        name = f"{name}_total"
    elif family.type is MetricType.INFO:
        name, kind = f"{name}_info", "gauge"
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


_PARAMETERS = ("proto", "encoding")
_PROTOBUF = ["application/vnd.google.protobuf", "io.prometheus.client.MetricFamily", "delimited"]


def negotiate(accept: str) -> Format:
    """The format that the client prefers; of those it likes equally, protobuf, OpenMetrics, text 0.0.4."""
    best = dict.fromkeys((Format.PROTOBUF, Format.OPENMETRICS, Format.TEXT), -1.0)
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        values = dict(p.partition("=")[::2] for p in parameters)
        try:
            weight = float(values.get("q", "1"))
        except ValueError:
            weight = 0.0
        version = values.get("version", "").strip('"')
        if kind == "application/openmetrics-text" and (not version or version.startswith("1.")):
            best[Format.OPENMETRICS] = max(best[Format.OPENMETRICS], weight)
        elif kind == "text/plain":
            best[Format.TEXT] = max(best[Format.TEXT], weight)
        elif (
            kind == _PROTOBUF[0] and [values.get(name, "") for name in _PARAMETERS] == _PROTOBUF[1:]
        ):
            best[Format.PROTOBUF] = max(best[Format.PROTOBUF], weight)
    form = max(best, key=lambda form: best[form])
    return form if best[form] > 0 else Format.TEXT


def wants_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding == "gzip":
            return not any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00") for p in parameters)
    return False


def compress(parts: Sequence[bytes]) -> bytes:
    """gzip at level 1: a tenth of the time of level 9 for a fifth more bytes. Releases the GIL."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join([*(squeezer.compress(part) for part in parts), squeezer.flush()])
