# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's status as the JSON tree of `/status`. docs/status.md explains each name to readers.

status(...) -> {"version": "0.1.0", "ready": true, "scripts": [{"name": "vfs", "state": "running", ...}]}

A name says its unit, and never changes its meaning. Numbers that nobody has are null, and those of the
module are left out of a script that has none.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from agent.daemon import losses
from agent.daemon.rates import Rates
from agent.daemon.self_metrics import Health
from agent.scripts import adoption
from agent.scripts.script import Script
from compiler.version import VERSION
from runtime.reader.snapshot import Snapshot
from runtime.support.escapes import readable
from runtime.support.lazy_regex import pattern
from runtime.support.record import asdict


def status(
    health: Health,
    ready: bool,
    addresses: tuple[str, ...],
    scripts: Mapping[str, Script],
    snapshots: Mapping[str, Snapshot],
    rates: Mapping[str, Rates] | None = None,
    series: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The whole status of the agent. Its texts are valid UTF-8, as most readers require. `series`: of each
    script now."""
    rates, series = rates or {}, series or {}
    tree = {
        "version": VERSION,
        "host": os.uname().nodename,
        "time": time.time(),
        "cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
        "ready": ready,
        "disabled": health.disabled,
        "state_folder": health.state_problem,
        "listen": list(addresses),
        "reload": {
            "successful": health.reload_successful,
            "timestamp": health.reload_time,
            "error": health.reload_error,
        },
        "compiler": health.compiler,
        "scripts": [
            _script(s, snapshots.get(n), health.compiler)
            | _measured(s, rates.get(n), series.get(n))
            for n, s in sorted(scripts.items())
        ],
    }
    return with_readable_texts(tree)


def with_readable_texts(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with bytes that are not UTF-8 escaped in its texts."""
    found: dict[str, Any] = _readable(tree)
    return found


def _readable(tree: Any) -> Any:
    match tree:
        case str():
            return readable(tree)
        case dict():
            return {key: _readable(value) for key, value in tree.items()}
        case list():
            return [_readable(value) for value in tree]
        case _:
            return tree


def _script(script: Script, shot: Snapshot | None, compiler: str) -> dict[str, Any]:
    errors = script.log.errors.newest_first()
    tree: dict[str, Any] = {
        "name": script.name,
        "state": script.shown.value,
        "since": round(script.since, 3),
        "reason": script.why,
        "revision": script.revision,
        "variant": script.variant,
        "source": str(script.settings.file or script.settings.position),
        "module": script.module.name if script.module is not None else "",
        "compiler": script.module.manifest.compiler if script.module is not None else "",
        "older_compiler": script.module is not None and adoption.older(script.module, compiler),
        "problems": [*script.problems, *script.left_out],
        "compile_seconds": round(script.compile_seconds, 3),
        "load_seconds": round(script.load_seconds, 3),
        "disarmed": _disarmed(script),
        "last_error": asdict(errors[0]) if errors else None,
    }
    return tree if shot is None else tree | _of_module(script, shot)


def _of_module(script: Script, shot: Snapshot) -> dict[str, Any]:
    hits = sum(probe.hits for probe in shot.probes)
    cpu_ns = sum(probe.cpu_ns for probe in shot.probes)
    return {
        "hits": hits,
        "errors": sum(probe.errors for probe in shot.probes),
        "cpu_seconds": round(cpu_ns / 1e9, 6),
        "cost_ns": cost_ns(cpu_ns, hits),
        "lost": losses.lost(shot),
        "losses": {r: n for r, n in losses.table(script, shot).items() if n},
        "complete": losses.is_complete(script, shot),
        "memory_bytes": shot.header.memory,
        "probes": len(shot.probes),
        "unplaced": [
            {"probe": what, "errno": why} for p in shot.probes for what, why in p.failed_attachments
        ],
        "waiting": [what for p in shot.probes for what in p.waiting],
    }


def _measured(script: Script, rates: Rates | None, series: int | None) -> dict[str, Any]:
    return {
        "hits_per_second": None if rates is None else round(sum(rates.hits_per_second), 3),
        "cpu_share": None if rates is None else round(sum(rates.cpu_share), 9),
        "series": series,
        "series_limit": script.settings.budgets.series,
    }


def cost_ns(cpu_ns: int, hits: int) -> float | None:
    """The mean cost of a hit since the module was started; None before the first one."""
    return round(cpu_ns / hits, 1) if hits else None


def _disarmed(script: Script) -> dict[str, Any]:
    """The disarms of a script, and the one that holds: its budget is "" while the script is armed."""
    rearming = script.rearming
    why, due = rearming.disarm, rearming.comes_back
    return {
        "times": sum(rearming.counts.values()),
        "seconds": round(rearming.seconds, 3),
        "budget": why.budget if why else "",
        "probe": why.probe if why else "",
        "value": why.value if why else 0,
        "limit": why.limit if why else 0,
        "armed_in_seconds": round(rearming.left, 3) if due else None,
    }


# -- what is to be said of it ---------------------------------------------------------------------------

_OLDER = "its module is of compiler {}; to replace it: stapwatch reload --recompile"
_OF_MODULE = pattern(r'module\("([^"]+)"\)|(\w+):')


def reasons(script: Mapping[str, Any]) -> list[str]:
    """The sentences about a script of the tree."""
    owners = Counter(map(_owner, script.get("waiting", ())))
    waiting = (f"waits for {owner} ({n} probed)" for owner, n in sorted(owners.items()))
    older = _OLDER.format(script["compiler"]) if script.get("older_compiler") else ""
    return [text for text in (script["reason"], *script["problems"], *waiting, older) if text]


def _owner(what: str) -> str:
    """`dummy:dummy_xmit`, or a probe point: what must be loaded for it."""
    match = _OF_MODULE.match(what)
    return f"module {match[1] or match[2]}" if match else what


def absent(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The scripts of the configuration that are not loaded on this host."""
    loaded = {script["name"] for script in tree["scripts"]}
    return [entry for entry in tree.get("rollout", ()) if entry["name"] not in loaded]


def switched_off(tree: Mapping[str, Any]) -> str:
    return f"stapwatch is off, no script is loaded: {tree['disabled']}"
