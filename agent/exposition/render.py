# SPDX-License-Identifier: GPL-2.0-or-later
"""Renders the page that Prometheus scrapes, as text format 0.0.4, OpenMetrics 1.0 or protobuf.

b"".join(Exposition(families).render(read, Format.TEXT)) -> b"# HELP stapwatch_vfs_reads_total ..."
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from agent.config.settings import Histograms, MetricType
from agent.exposition import samples
from agent.exposition.families import Family, Member
from agent.exposition.page_cache import Pages, TextTemplates
from agent.exposition.samples import Infos, Numbers, Summaries, TextSamples, Window, negative
from runtime.reader.table import TableValues
from runtime.support.escapes import readable
from runtime.support.exhaustive import assert_never

if TYPE_CHECKING:
    from agent.exposition.wire_families import WireFamily

Reader = Callable[[Member], TableValues | None]
Key = tuple[str, str]  # of a member: its script and its global
Found = list[tuple[int, TableValues]]  # by number of the member


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
    """

    def __init__(self, families: Sequence[Family], before: Exposition | None = None) -> None:
        self.families = tuple(families)
        known = {family.name: family for family in before.families} if before is not None else {}
        kept: dict[str, _FamilyPages] = before._pages if before is not None else {}
        self._pages: dict[str, _FamilyPages] = {
            family.name: kept[family.name] if known.get(family.name) == family else _made(family)
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

    def of(self, script: str) -> Iterator[tuple[Family, Member]]:
        """Each table of a script that is exported, with its family."""
        for family in self.families:
            for member in family.members:
                if member.script == script:
                    yield family, member

    def elements(self, read: Reader) -> Iterator[tuple[Member, int, int]]:
        """For each member, its elements, and the samples of one by the buckets of the last rendering."""
        for family in self.families:
            samples = self._pages[family.name].samples()
            for member in family.members:
                if (rows := read(member)) is not None:
                    yield member, len(rows), samples

    def refused(self) -> Counter[str]:
        """Samples that the last rendering excluded because a counter must not be negative, by script."""
        found: Counter[str] = Counter()
        for family in self.families:
            for member, count in self._pages[family.name].refused():
                found[member.script] += count
        return found


class _FamilyPages(Protocol):
    def render(self, found: Found, form: Format) -> Iterator[bytes]: ...
    def refused(self) -> Iterator[tuple[Member, int]]: ...

    def samples(self) -> int:
        """Of one element."""


def _made(family: Family) -> _FamilyPages:
    match family.type:
        case MetricType.COUNTER | MetricType.GAUGE:
            return _Plain(family, lambda member, _: Numbers(family, member))
        case MetricType.INFO:
            return _Plain(family, lambda member, _: Infos(family, member))
        case MetricType.SUMMARY:
            return _Plain(family, lambda member, signed: Summaries(family, member, signed))
        case MetricType.HISTOGRAM:
            return _Histograms(family)
        case _:
            assert_never(family.type)


def _wire(family: Family, window: Window | None = None) -> WireFamily:
    from agent.exposition.wire_families import WireFamily  # few scrapers ask for protobuf

    return WireFamily(family, window)


class _Plain:
    """A family without buckets. Of the texts, only the samples of summaries depend on the format."""

    def __init__(self, family: Family, make: Callable[[Member, bool], TextSamples]) -> None:
        self._family, self._make = family, make
        self._pages: dict[bool, list[Pages]] = {}
        self._wire: WireFamily | None = None
        self._is_wire = False  # the last rendering

    def render(self, found: Found, form: Format) -> Iterator[bytes]:
        self._is_wire = form is Format.PROTOBUF
        if self._is_wire:
            self._wire = self._wire or _wire(self._family)
            yield from self._wire.render(found)
            return
        signed = form is Format.TEXT or self._family.type is not MetricType.SUMMARY
        if signed not in self._pages:
            members = self._family.members
            self._pages[signed] = [_text_pages(m, self._make(m, signed)) for m in members]
        for n, rows in found:
            yield from self._pages[signed][n].render(rows)

    def refused(self) -> Iterator[tuple[Member, int]]:
        if self._is_wire and self._wire is not None:
            yield from ((member, pages.refused) for member, pages in self._wire.pages)
            return
        for group in self._pages.values():
            for member, pages in zip(self._family.members, group, strict=True):
                yield member, pages.refused

    def samples(self) -> int:
        return 2 if self._family.type is MetricType.SUMMARY else 1


class _Histograms:
    """Histograms that share one window of bounds, with separate pages if sums are left out."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._window = Window(family.members)
        self._pages: dict[bool, list[Pages]] = {}
        self._wire: WireFamily | None = None
        self._is_native = False  # the last rendering

    def render(self, found: Found, form: Format) -> Iterator[bytes]:
        members = self._family.members
        for n, rows in found:
            if self._window.widen(members[n], rows):
                self._pages.clear()
                self._wire = None
        native = self._family.histograms is Histograms.NATIVE
        self._is_native = native and form is Format.PROTOBUF
        if form is Format.PROTOBUF:
            self._wire = self._wire or _wire(self._family, self._window)
            yield from self._wire.render(found)
            return
        whole = form is Format.TEXT or not (
            self._window.negative or any(_no_sum(members[n], rows) for n, rows in found)
        )
        if whole not in self._pages:
            self._pages[whole] = [
                _text_pages(m, samples.Histograms(self._family, m, self._window, whole))
                for m in members
            ]
        for n, rows in found:
            yield from self._pages[whole][n].render(rows)

    def refused(self) -> Iterator[tuple[Member, int]]:
        return iter(())

    def samples(self) -> int:
        if self._is_native:
            return 1  # a series of histograms
        return max(0, self._window.high - self._window.low) + 3  # +Inf, the sum and the count


def _text_pages(member: Member, samples_: TextSamples) -> Pages:
    return Pages(member, samples_, TextTemplates(member, samples_))


def _no_sum(member: Member, found: TableValues) -> bool:
    """Whether OpenMetrics forbids the sum, because it may decrease, or there is no sum."""
    statistic = member.table.statistic
    assert statistic is not None
    if statistic.sum is None:
        return True
    width = member.table.row_size // 8
    return any(negative(rows, statistic.sum, width) for _, rows in found.pages() if rows)


def header(family: Family, form: Format) -> bytes:
    """Of a text; protobuf has the family's length in front."""
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
