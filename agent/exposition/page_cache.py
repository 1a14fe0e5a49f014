# SPDX-License-Identifier: GPL-2.0-or-later
"""A table's samples as text: a cached template for each page of elements, filled by one `%`.

    page of 2 elements -> b'x_total{cpu="0"} %d\\nx_total{cpu="1"} %d\\n' % (12, 7)

Formatting labels costs a microsecond per series, filling in numbers 60 ns. The text of a page is cached
until its rows change, and its template until its keys change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from agent.exposition.families import Member
from agent.exposition.samples import (
    Samples,
    TextSamples,
    escape_doubly,
    label_layout,
    overflow_labels,
)
from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER, KeyPage
from runtime.support.record import record

_HERE = "\0"  # stands for the labels of an element


@record(frozen=False)
class _Page:
    keys: KeyPage
    template: bytes
    rows: bytes = b""
    text: bytes | None = None  # rendered from `rows`
    refused: int = 0


class Templates(Protocol):
    """The templates of elements in one format."""

    def elements(self, keys: KeyPage) -> Iterable[bytes]:
        """One by one."""

    def page(self, keys: KeyPage) -> bytes:
        """All of them."""


class TextTemplates:
    """Lines of text."""

    def __init__(self, member: Member, samples: TextSamples) -> None:
        # the template of an element's template: only the labels' values are missing
        labels = label_layout(member)
        lines = samples.lines(_HERE if labels else "").replace("%", "%%")
        self._layout, self._times = lines.replace(_HERE, labels), lines.count(_HERE)
        self._other = samples.lines(overflow_labels(member))  # of the page OTHER

    def page(self, keys: KeyPage) -> bytes:
        return "".join(self._elements(keys)).encode()

    def elements(self, keys: KeyPage) -> Iterator[bytes]:
        return (element.encode() for element in self._elements(keys))

    def _elements(self, keys: KeyPage) -> Iterator[str]:
        layout, times = self._layout, self._times
        if keys is OTHER:
            yield self._other
            return
        for key in keys.tuples():
            yield layout % (tuple(map(escape_doubly, key)) * times)


class Pages:
    """One table's pages."""

    def __init__(self, member: Member, samples: Samples, templates: Templates) -> None:
        self._member, self._samples, self._templates = member, samples, templates
        self._pages: list[_Page] = []

    @property
    def refused(self) -> int:
        """Elements that are excluded because a counter must not be negative."""
        return sum(page.refused for page in self._pages)

    def render(self, found: TableValues) -> Iterator[bytes]:
        """The text, page by page; `found`: the values of this member's table."""
        pages, samples, template = self._pages, self._samples, self._templates.page
        del pages[len(found.key_pages) :]
        fits = samples.fits(found.rows)
        for number, (keys, rows) in enumerate(found.pages()):
            if number == len(pages):
                pages.append(_Page(keys, template(keys)))
            page = pages[number]
            if page.keys is not keys and page.keys != keys:
                page = pages[number] = _Page(keys, template(keys))
            if page.text is None or page.rows != rows:
                page.rows, page.refused = rows, 0
                if fits or samples.fits(rows):
                    page.text = page.template % samples.arguments(rows)
                else:
                    self._pick(page)
            if page.text:
                yield page.text

    def _pick(self, page: _Page) -> None:
        """Fill in a page without the elements that must be excluded."""
        parts, size = [], self._member.table.row_size
        for n, element in enumerate(self._templates.elements(page.keys)):
            row = page.rows[n * size : (n + 1) * size]
            parts.append(self._samples.shown(element, row))
            page.refused += not parts[-1]
        page.text = b"".join(parts)
