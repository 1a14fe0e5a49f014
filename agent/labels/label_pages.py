# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of keys whose keys are labels.

labelled([("ssh.service",), ("cron.service",)], b"\\1\\0")   the second one is not shown
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from struct import pack

from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER, SEQUENCE_SIZE, KeyPage, KeyTuple
from runtime.support.record import replace

_builds = count()  # of pages of labels: no two are equal


def distinct(
    found: TableValues,
    labels: Callable[[KeyTuple], KeyTuple | None],
    names: list[KeyTuple] | None = None,
) -> TableValues:
    """One element for each series that the values have, without rows. `names`: those, if they are known."""
    others = found.key_pages[-1:] if found.key_pages[-1:] == (OTHER,) else ()
    if names is None:
        keys = [key for page in found.key_pages if page is not OTHER for key in page.tuples()]
        names = list(dict.fromkeys(name for key in keys if (name := labels(key)) is not None))
    pages = (labelled(names, b"\1" * len(names)), *others)
    return replace(found, key_pages=pages, rows=b"", columns=())


def labelled(names: list[KeyTuple], live: bytes) -> KeyPage:
    """A page of labels. Its bytes are its own: a page that is built anew has other labels."""
    return KeyPage(
        pack("q", next(_builds)), None if all(live) else live, len(live), lambda _: names
    )


def sequences(keys: KeyPage | None) -> list[bytes]:
    """Each slot's first word: another one means another element."""
    if keys is None or not keys.slots:
        return []
    stride = len(keys.data) // keys.slots
    data = keys.data
    return [data[n * stride : n * stride + SEQUENCE_SIZE] for n in range(keys.slots)]
