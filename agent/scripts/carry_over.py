# SPDX-License-Identifier: GPL-2.0-or-later
"""`keep: true`: the values of a module go on in its successor.

    carry = begin(old, new, wanted)
    carry.shared()           # before the new module starts: handlers may read them from the first hit on
    carry.lanes()            # after the old one has stopped: nothing is lost, for both only add to them
    carry.problems           -> {"sizes": "its keys differ"}: these start anew

Both calls block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Set

from agent.config.settings import ScriptSettings
from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts.script import LoadedModule
from runtime.abi.manifest import Storage, Table, ValueType
from runtime.reader.device import DeviceError
from runtime.reader.table import TableReader
from runtime.support.record import replace


class CarryOver:
    """`names`: the globals that are to go on; `old`: None if there is nothing that could."""

    def __init__(self, old: LoadedModule | None, new: LoadedModule, names: Set[str]) -> None:
        self._old, self._new = old, new
        self.script = new.manifest.name
        self.problems: dict[str, str] = {}
        self._tables: list[tuple[Table, Table]] = []
        before = {t.name: t for t in old.manifest.tables} if old is not None else {}
        for table in new.manifest.tables:
            if table.name in names and table.name in before:
                if why := difference(before[table.name], table):
                    self.problems[table.name] = why
                else:
                    self._tables.append((before[table.name], table))

    @property
    def is_empty(self) -> bool:
        return not self._tables

    def shared(self) -> None:
        self._carry(Storage.SHARED)

    def lanes(self) -> None:
        self._carry(Storage.PERCPU)

    def _carry(self, storage: Storage) -> None:
        for before, table in self._tables:
            if table.storage is storage:
                try:
                    self._carry_table(before, table)
                except DeviceError as error:
                    self.problems[table.name] = error.strerror or str(error)

    def _carry_table(self, before: Table, table: Table) -> None:
        assert self._old is not None
        for key, row in elements(self._old, before):
            if not self._new.device.carry(table, key, row):
                self.problems[table.name] = "it is full: some elements start anew"
                return


def begin(old: LoadedModule | None, new: LoadedModule, wanted: ScriptSettings) -> CarryOver:
    """For a new module that is not started, whose script's settings are `wanted`."""
    names = {name for name, metric in wanted.metrics.items() if metric.keep}
    return CarryOver(old, new, names)


async def finish(carry: CarryOver) -> None:
    """The old module has stopped: the new one goes on from its values. What cannot go on is logged."""
    if not carry.is_empty:
        await asyncio.to_thread(carry.lanes)
    for name, why in sorted(carry.problems.items()):
        log().warning(
            f"script {carry.script}: the values of global '{name}' do not go on: {why}",
            message_id=Message.VALUES_NOT_KEPT,
            script=carry.script,
        )


def difference(before: Table, table: Table) -> str:
    """Why a table's values cannot go on in another one; "" if they can."""
    if [replace(k, offset=0) for k in before.keys] != [replace(k, offset=0) for k in table.keys]:
        return "its keys differ"
    if (before.value, before.row_size) != (table.value, table.row_size):
        return "its type differs"
    if before.statistic != table.statistic:
        return "its buckets, or what is recorded of it, differ"
    if before.storage is not table.storage:
        return "handlers read it in one version only"
    statistic = table.statistic
    if table.storage is Storage.SHARED:
        if table.monotonic or table.value is ValueType.STAT:
            return "handlers read it, so it cannot be added to while they run"
    elif statistic is not None and not statistic.min is statistic.max is statistic.mean is None:
        return "it has a minimum, a maximum or a variance, which cannot be added"
    elif table.slots is not None and table.lock is None:
        return "its module is of an older release"
    return ""


def elements(module: LoadedModule, table: Table) -> Iterator[tuple[bytes, bytes]]:
    """The bytes of the key and the row of each element; rows of lanes are added up."""
    found = TableReader(table).read(module.device, spread=False)
    size = table.row_size
    for page, rows in found.pages():
        keys = [b""]
        if (slots := table.slots) is not None:
            live = page.live or b"\1" * page.slots
            keys = [
                page.data[n * slots.stride + slots.key_offset : (n + 1) * slots.stride]
                for n in range(page.slots)
                if live[n]
            ]
        for number, key in enumerate(keys):
            yield key, rows[number * size : (number + 1) * size]
