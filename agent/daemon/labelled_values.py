# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables' values by the labels that are made of their keys, for those families that have such labels.

labelled = LabelledValues(scripts)
values = labelled.apply(exposition, values)        at each page, and when the series are counted
labelled.failures                                  -> {("vfs", "user"): 2}

The state of a table is that of its module: a new module counts from 0, and so do its series, unless the
metric has `keep: true`. The modules that make labels are imported when a family has some: few have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from agent.config.label_settings import Decoder
from agent.config.settings import MetricType
from agent.daemon import label_memory
from agent.daemon.label_memory import Memory, Remains
from agent.exposition.families import Member
from agent.exposition.render import Exposition, Key
from agent.labels.sources import LabelSource
from agent.scripts import carry_over
from agent.scripts.script import Script
from runtime.abi.manifest import Table
from runtime.reader.table import TableValues
from runtime.support.record import field, record

if TYPE_CHECKING:
    from agent.labels.by_cpu import ByCpu
    from agent.labels.decoders import Host
    from agent.labels.series import Series

_REMEMBERED: Final = 600.0  # seconds: as long as a replaced module's last values wait
_GROW: Final = (MetricType.COUNTER, MetricType.HISTOGRAM, MetricType.SUMMARY)


@record(frozen=False)
class _State:
    table: Table
    sources: tuple[LabelSource, ...]
    series: Series
    used: float
    cpus: ByCpu | None

    def merged(self, read: TableValues) -> TableValues:
        return self.series.merged(read if self.cpus is None else self.cpus.apart(read))


@record(frozen=False)
class LabelledValues:
    scripts: Mapping[str, Script]
    host: Host | None = None  # this one, once a family has labels
    clock: Callable[[], float] = monotonic
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)  # by script and decoder
    remembered: Memory = field(default_factory=Memory)  # of the agent before this one
    _states: dict[Key, list[_State]] = field(
        default_factory=dict
    )  # the newest module's is the last
    _members: tuple[Exposition | None, list[tuple[Member, MetricType]]] = (None, [])

    def apply(
        self, exposition: Exposition, values: Mapping[Key, TableValues]
    ) -> Mapping[Key, TableValues]:
        """`values`: each table as read after those of the last call."""
        members = self._labelled(exposition)
        if not members and not self._states:
            return values
        self._host().new_page()
        now, found = self.clock(), dict(values)
        for member, kind in members:
            key = member.script, member.table.name
            if (read := values.get(key)) is not None:
                if _is_by_cpu(member) and not read.columns:
                    del found[key]  # it was read before the reload that wants this
                    continue
                found[key] = self._state(key, read.table, member, kind, now).merged(read)
        self._forget(now - _REMEMBERED)
        return found

    def recall(self, folder: Path) -> None:
        """Go on from what the agent before has saved there, before the first page."""
        self.remembered = label_memory.load(folder)
        if self.host is not None or self.remembered.paths:
            self._host().cgroups.paths.update(self.remembered.paths)

    def memory(self) -> Memory | None:
        """For the agent that follows; None if no labels are made."""
        found = []
        for (name, table), states in self._states.items():
            last = _last_used(states)
            if remains := last.series.remains():
                made_of = repr(last.sources)
                found.append(Remains(name, table, self._module(name), made_of, remains))
        return Memory(dict(self._host().cgroups.paths), tuple(found)) if self._states else None

    def _host(self) -> Host:
        if self.host is None:
            from agent.labels.decoders import Host

            self.host = Host()
        return self.host

    def _module(self, name: str) -> str:
        """A module since its start: it has counted all that its series have."""
        script = self.scripts.get(name)
        if script is None or script.module is None:
            return ""
        started = script.module.device.header().started_ns
        return f"{script.module.manifest.identity} {started}"

    def counted(
        self, exposition: Exposition, values: Mapping[Key, TableValues]
    ) -> Mapping[Key, TableValues]:
        """As many elements as `apply` would find series, without rows. It may be called at any time:
        the state, which knows readings in their order, stays as it is."""
        members = self._labelled(exposition)
        if not members:
            return values
        from agent.labels.by_cpu import ByCpu

        found = dict(values)
        self._host().new_page()  # these keys are newer than the last page's
        for member, _ in members:
            key = member.script, member.table.name
            if (read := values.get(key)) is not None:
                if _is_by_cpu(member):
                    read = ByCpu().apart(read)
                found[key] = self._distinct(key, read, member)
        return found

    def _distinct(self, key: Key, read: TableValues, member: Member) -> TableValues:
        """By the state of the last page, if there is one: it remembers the labels, and has told failures."""
        for state in self._states.get(key, ()):
            if state.table is read.table and state.sources == member.sources:
                return state.series.distinct(read)
        from agent.labels import label_pages
        from agent.labels.labeller import Labeller

        labeller = Labeller(member.sources or (), self._host().decode, lambda _: None)
        return label_pages.distinct(read, labeller.labels)

    def _labelled(self, exposition: Exposition) -> list[tuple[Member, MetricType]]:
        if self._members[0] is not exposition:
            found = [(m, f.type) for f in exposition.families for m in f.members]
            self._members = exposition, [(m, t) for m, t in found if m.sources is not None]
        return self._members[1]

    def _state(
        self, key: Key, table: Table, member: Member, kind: MetricType, now: float
    ) -> _State:
        sources = member.sources or ()
        states = self._states.setdefault(key, [])
        for state in states:
            grows = kind in _GROW
            if state.table is table and state.sources == sources and state.series.grows is grows:
                state.used = now
                return state
        from agent.labels.by_cpu import ByCpu
        from agent.labels.labeller import Labeller
        from agent.labels.series import Series

        before = self._before(key, table, sources)
        labeller = Labeller(sources, self._host().decode, lambda d: self._fail(member.script, d))
        made = Series(table, labeller.labels, kind in _GROW, before)
        states.append(_State(table, sources, made, now, ByCpu() if _is_by_cpu(member) else None))
        return states[-1]

    def _before(
        self, key: Key, table: Table, sources: tuple[LabelSource, ...]
    ) -> Mapping[tuple[int | str, ...], list[int]]:
        """The values that an earlier module has of elements that have gone, if this one goes on from them."""
        script = self.scripts.get(key[0])
        metric = script.settings.metrics.get(key[1]) if script is not None else None
        states = self._states[key]
        if not states:
            wanted = (*key, self._module(key[0]), repr(sources))
            for r in self.remembered.remains:
                if (r.script, r.table, r.module, r.made_of) == wanted:
                    return r.words
            return {}
        last = _last_used(states)
        if metric is None or not metric.keep or last.sources != sources:
            return {}
        return {} if carry_over.difference(last.table, table) else last.series.remains()

    def _fail(self, script: str, decoder: Decoder) -> None:
        self.failures[script, str(decoder)] += 1

    def _forget(self, since: float) -> None:
        for key, states in list(self._states.items()):
            self._states[key] = [state for state in states if state.used > since]
            if not self._states[key]:
                del self._states[key]


def _last_used(states: list[_State]) -> _State:
    return max(states, key=lambda state: state.used)


def _is_by_cpu(member: Member) -> bool:
    return any(source.key == len(member.table.keys) for source in member.sources or ())
