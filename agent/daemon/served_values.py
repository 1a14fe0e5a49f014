# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the tables' values a page has: those of the families, within their ttl and the budgets of series.

read = served.select(exposition, snapshots, settings)
page = exposition.render(read, form)
served.note_page(exposition)        what the page left out becomes part of the scripts' losses
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from agent.config.settings import Settings
from agent.daemon import losses
from agent.daemon.element_expiry import ElementExpiry
from agent.daemon.labelled_values import LabelledValues
from agent.daemon.series_limit import SeriesLimit
from agent.exposition.render import Exposition, Key, Reader, by_member
from agent.scripts.script import Script
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import TableValues


class ServedValues:
    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts
        self._expiry = ElementExpiry(scripts)
        self.labelled = LabelledValues(scripts)
        self._series = SeriesLimit(scripts)
        self._unsettled: Counter[str] = Counter()  # elements of the last selection, by script

    def select(
        self, exposition: Exposition, snapshots: Mapping[str, Snapshot], settings: Settings
    ) -> Reader:
        """The values that the families read on this page. It is called once a page."""
        read = self._expiry.apply(tables(exposition, snapshots))
        values = self.labelled.apply(exposition, read)
        served = self._series.apply(exposition, values, settings)
        self._unsettled = Counter()
        for (script, _), found in served.items():
            self._unsettled[script] += found.unsettled
        return by_member(served)

    def counted(
        self, exposition: Exposition, snapshots: Mapping[str, Snapshot]
    ) -> Mapping[Key, TableValues]:
        """As many elements of each global as there are series, whatever a page leaves out."""
        return self.labelled.counted(exposition, tables(exposition, snapshots))

    def shown(self, exposition: Exposition, snapshots: Mapping[str, Snapshot]) -> Reader:
        """The values of some scripts as a page has them, but for budgets of series."""
        read = self._expiry.visible(tables(exposition, snapshots))
        return by_member(self.labelled.apply(exposition, read))

    def note_page(self, exposition: Exposition) -> int:
        """Count what the page left out, once it is rendered. Returns the counters below 0."""
        self._expiry.remove()
        negative = exposition.refused()
        left_out = {name: script.series_left_out for name, script in self._scripts.items()}
        found = {"series": left_out, "unsettled": self._unsettled, "negative": negative}
        losses.note_page(self._scripts, found)
        return negative.total()


def tables(exposition: Exposition, snapshots: Mapping[str, Snapshot]) -> dict[Key, TableValues]:
    """The values of each member's table."""
    tables = {
        (name, values.table.name): values
        for name, shot in snapshots.items()
        for values in shot.tables
    }
    found = {}
    for family in exposition.families:
        for member in family.members:
            key = member.script, member.table.name
            values = tables.get(key)
            # A module may just have been replaced, and its table of that name may differ.
            if values is not None and values.table == member.table:
                found[key] = values
    return found
