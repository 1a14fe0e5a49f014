# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a table's values: some elements of each page, or the first ones.

    first(found, 1000)                 the elements of the first slots, and the row of all others
    with_pages(found, pages)           as many pages, with fewer elements in them

A slot keeps its rows and key; it is only not live any more. So pages that keep all elements stay the same
objects, and what is cached for them holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER, KeyPage
from runtime.support.record import replace


def with_pages(found: TableValues, pages: Sequence[KeyPage]) -> TableValues:
    """The values with other pages of the same slots."""
    return replace(found, key_pages=tuple(pages))


def masked(page: KeyPage, wanted: bytes) -> KeyPage:
    """A page with those of its elements whose byte in `wanted` is 1."""
    live = page.live or b"\1" * page.slots
    kept = bytes(a & b for a, b in zip(live, wanted, strict=True))
    return page if kept == live else KeyPage(page.data, kept, page.slots, page.decode)


def first(found: TableValues, count: int) -> TableValues:
    """The first `count` elements. The row of all others is one of them, and goes last."""
    if len(found) <= count:
        return found
    other = found.key_pages[-1:] == (OTHER,)
    left = count - 1 if other else count
    pages, size = [], found.table.row_size
    end = 0
    for page in found.key_pages[: len(found.key_pages) - other]:
        if left <= 0:
            break
        pages.append(page if len(page) <= left else masked(page, _until(page, left)))
        left -= len(page)
        end += page.slots * size
    rows = found.rows[:end]
    if other and count > 0:
        pages, rows = [*pages, OTHER], rows + found.rows[-size:]
    return replace(found, key_pages=tuple(pages), rows=rows, columns=())


def _until(page: KeyPage, count: int) -> bytes:
    """1 for each slot up to the one with the `count`th element."""
    live, end = page.live or b"\1" * page.slots, 0
    while count:
        count -= live[end]
        end += 1
    return b"\1" * end + bytes(page.slots - end)
