# SPDX-License-Identifier: GPL-2.0-or-later
"""The `ttl:` of metrics: leaves out the elements that have not changed for so long, and frees their slots.

    values = expiry.apply(values)
    expiry.remove()                 in the background: those that were left out leave their modules

Only the agent knows when an element last changed, so a restart begins anew: every element is served for
another ttl. Elements of an array that a handler reads stay in it, because the script may rely on them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from time import monotonic
from typing import Final, TypeAlias

from agent.exposition.expiry import Expiry
from agent.exposition.render import Key
from agent.scripts.script import Script
from runtime.abi.manifest import Storage, Table
from runtime.reader.device import DeviceError
from runtime.reader.table import TableValues
from runtime.support.record import field, record

_MOST: Final = 1024  # elements of a table that are removed after one page
Elements: TypeAlias = "list[tuple[int, int, bytes]]"  # (slot, its sequence, its row)


@record(frozen=False)
class ElementExpiry:
    scripts: Mapping[str, Script]
    clock: Callable[[], float] = monotonic
    _expiries: dict[Key, tuple[Table, Expiry]] = field(default_factory=dict)
    _removal: asyncio.Task[None] | None = None

    def apply(self, values: Mapping[Key, TableValues]) -> dict[Key, TableValues]:
        """The values without expired elements. Notes what has changed: to be called once a scrape."""
        now, hidden, used = self.clock(), Counter[str](), set()
        found = {}
        for key, all_ in values.items():
            script = self.scripts.get(key[0])
            metric = script.settings.metrics.get(key[1]) if script else None
            if metric is None or metric.ttl is None or not all_.table.keys:
                found[key] = all_
                continue
            used.add(key)
            found[key] = self._expiry(key, all_.table, metric.ttl).visible(all_, now)
            hidden[key[0]] += len(all_) - len(found[key])
        self._expiries = {key: self._expiries[key] for key in used}
        for name, script in self.scripts.items():
            script.expired = hidden[name]
        return found

    def visible(self, values: Mapping[Key, TableValues]) -> dict[Key, TableValues]:
        """The values without the elements that had expired at the last scrape."""
        now, found = self.clock(), dict(values)
        for key, all_ in values.items():
            known = self._expiries.get(key)
            if known is not None and known[0] == all_.table:
                found[key] = known[1].visible(all_, now)
        return found

    def _expiry(self, key: Key, table: Table, ttl: float) -> Expiry:
        known = self._expiries.get(key)
        if known is None or known[0] != table:
            known = self._expiries[key] = table, Expiry(ttl)
        known[1].ttl = ttl
        return known[1]

    def remove(self) -> None:
        """Begin to remove what the last page left out, unless that of an earlier page goes on."""
        if self._removal is not None and not self._removal.done():
            return
        now, due = self.clock(), {}
        for key, (table, expiry) in self._expiries.items():
            if _is_removable(table) and (elements := list(islice(expiry.hidden(now), _MOST))):
                due[key] = table, elements
        if due:
            self._removal = asyncio.get_running_loop().create_task(self._remove(due))

    async def _remove(self, due: Mapping[Key, tuple[Table, Elements]]) -> None:
        for (name, _), (table, elements) in due.items():
            script = self.scripts.get(name)
            if script is None or script.changing.locked():
                continue
            async with script.changing:
                module = script.module
                if module is not None and table in module.manifest.tables:
                    with contextlib.suppress(DeviceError):  # they stay, and are left out
                        script.removed += await asyncio.to_thread(
                            module.device.expire, table, elements
                        )


def _is_removable(table: Table) -> bool:
    return table.unread and table.lock is not None and table.storage is not Storage.CONSTANT
