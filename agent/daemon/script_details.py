# SPDX-License-Identifier: GPL-2.0-or-later
"""What `/status?script=NAME` says of one script beyond its entry in the list: metrics, hooks, losses, errors.

details(script, snapshot, exposition, sizes, rates)
-> {"metrics": [{"global": "reads", "family": "stapwatch_vfs_reads", "series": 12, ...}],
    "hooks": [{"probe": 'kernel.function("vfs_read")', "hook": "ftrace", "attached": 1, ...}], ...}
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from agent.daemon import losses
from agent.daemon.rates import Rates
from agent.daemon.status_tree import cost_ns
from agent.exposition.families import Family, Member
from agent.exposition.render import Exposition, Key, Reader
from agent.scripts import variants
from agent.scripts.script import LoadedModule, Script
from runtime.abi.manifest import Table
from runtime.abi.structs import ABI, MILLION
from runtime.reader.module_memory import bytes_of
from runtime.reader.snapshot import ProbeValues, Snapshot
from runtime.reader.table import TableValues
from runtime.support.record import asdict

Sizes = Mapping[Key, int]  # the series of a global, by its script and name


def details(
    script: Script,
    shot: Snapshot | None,
    exposition: Exposition,
    sizes: Sizes,
    rates: Rates | None,
) -> dict[str, Any]:
    """`exposition`: of all scripts. Without a snapshot there are no numbers of the module."""
    tree: dict[str, Any] = {
        "recent_errors": [asdict(error) for error in script.log.errors.newest_first()],
        "losses_by_reason": [
            {"reason": loss.reason, "of": loss.of, "text": loss.text, "count": count}
            for loss in losses.LOSSES
            if (count := loss.count(script, shot)) is not None
        ],
        "budgets": _budgets(script),
    }
    module = script.module
    if module is not None:
        tree |= _identity(module)
    if shot is not None:
        tree["metrics"] = _metrics(script, shot, exposition, sizes)
        tree["hooks"] = [_hook(p, n, rates) for n, p in enumerate(shot.probes)]
    return tree


def sizes(exposition: Exposition, read: Reader) -> Sizes:
    """The series of each global now; those that a budget leaves out of the page are part of them."""
    return {
        (member.script, member.table.name): elements * samples
        for member, elements, samples in exposition.elements(read)
    }


def series(sizes: Sizes, scripts: Iterable[str]) -> dict[str, int]:
    """The series of each script."""
    found = dict.fromkeys(scripts, 0)
    for (script, _), number in sizes.items():
        found[script] += number
    return found


def text(script: Script) -> dict[str, Any]:
    """The script's text as its file has it now, and whether that is what runs."""
    try:
        found, revision = (
            variants.text(script.settings, script.variant),
            variants.revision(script.settings),
        )
    except OSError as error:
        return {"text": None, "text_problem": f"{script.settings.file}: {error.strerror}"}
    changed = script.module is not None and revision != script.revision
    return {"text": found, "text_problem": "the file has changed since" if changed else ""}


def _identity(module: LoadedModule) -> dict[str, Any]:
    """Which module it is, and what readers it is for."""
    manifest = module.manifest
    return {
        "identity": manifest.identity,
        "kernel": manifest.release,
        "abi": ABI,
        "module_state": module.state.name.lower(),
        "ring_bytes": manifest.ring_size,
    }


def _budgets(script: Script) -> dict[str, Any]:
    """None: no limit."""
    budgets = script.settings.budgets
    memory = budgets.kernel_memory
    return {
        "cpu_share": _share(budgets.cpu),
        "one_cpu_share": _share(budgets.one_cpu),
        "hit_time_ns": budgets.hit_time,
        "hits_per_second": budgets.hit_rate,
        "kernel_memory": None if memory is None else str(memory),
        "series": budgets.series,
        "log_lines_per_second": budgets.log_lines,
        "pauses_seconds": list(budgets.pauses),
    }


def _share(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / MILLION


# -- metrics --------------------------------------------------------------------------------------------


def _metrics(
    script: Script, shot: Snapshot, exposition: Exposition, sizes: Sizes
) -> list[dict[str, Any]]:
    """For each global of the module: what it is exported as, and how full it is."""
    members = {member.table.name: (family, member) for family, member in exposition.of(script.name)}
    cpus = shot.header.nr_lanes
    return [
        {
            "global": values.table.name,
            **_family(members.get(values.table.name)),
            "series": sizes.get((script.name, values.table.name), 0),
            **_room(values, cpus),
        }
        for values in shot.tables
    ]


def _family(found: tuple[Family, Member] | None) -> dict[str, Any]:
    """A global that is not exported has the family ""."""
    if found is None:
        return {"family": "", "type": "", "labels": []}
    family, member = found
    constant = [name for name, _ in member.constant]
    return {
        "family": family.name,
        "type": family.type.value,
        "labels": [*member.labels, *constant],
    }


def _room(values: TableValues, cpus: int) -> dict[str, Any]:
    """Slots are elements that there is room for; None: it is no array."""
    table: Table = values.table
    slots = table.slots
    return {
        "elements": len(values),
        "slots": None if slots is None else slots.capacity,
        "when_full": "" if slots is None else slots.when_full.value,
        "memory_bytes": None if slots is None else bytes_of(table, cpus),
    }


# -- hooks ----------------------------------------------------------------------------------------------


def _hook(probe: ProbeValues, number: int, rates: Rates | None) -> dict[str, Any]:
    """One probe. A wildcard has many functions, of which each one is attached, waits, or was refused."""
    functions = probe.functions
    attached = sum(f.armed for f in functions) if functions else int(probe.armed)
    return {
        "probe": probe.probe.point,
        "written": probe.probe.written,
        "hook": probe.probe.hook,
        "location": probe.probe.location,
        "functions": len(functions) or 1,
        "attached": attached,
        "refused": [
            {"function": name, "errno": error, "reason": os.strerror(abs(error))}
            for name, error in probe.failed_attachments
        ],
        "waiting": list(probe.waiting),
        "hits": probe.hits,
        "skipped": probe.skipped_reentrant + probe.skipped_lock,
        "missed": probe.missed,
        "errors": probe.errors,
        "cost_ns": cost_ns(probe.cpu_ns, probe.hits),
        "cpu_seconds": round(probe.cpu_ns / 1e9, 6),
        "hits_per_second": _at(rates.hits_per_second if rates else None, number, 3),
        "cpu_share": _at(rates.cpu_share if rates else None, number, 9),
    }


def _at(found: list[float] | None, number: int, digits: int) -> float | None:
    return round(found[number], digits) if found is not None else None
