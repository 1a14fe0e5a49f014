# SPDX-License-Identifier: GPL-2.0-or-later
"""The status of all scripts as a table: what is wrong comes first, columns that say nothing are left out.

  SCRIPT  STATE     SINCE  REVISION      HITS/S    COST     CPU  SERIES   MEMORY  LOST
! opens   disarmed   12 s  1a2b3c4d5e6f       0  310 ns     0 %      12  128 KiB     0
    it took 12.3 % of the time of all CPUs, and the budget cpu is 5 %; it is armed again in 3 s
  vfs     running     3 h  9f8e7d6c5b4a   4,711   96 ns  0.04 %     212  640 KiB     0

`!`: the script does not run as it should. `*`: it runs, and something is missing or to be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli import status_text
from agent.cli.status_text import NOTHING, cost, duration, memory, number, rate, share
from agent.daemon.status_tree import absent, reasons, switched_off

BAD = ("failed", "outdated", "disarmed", "quarantined")
_HEAD = (
    "SCRIPT",
    "STATE",
    "SINCE",
    "REVISION",
    "HITS/S",
    "HITS",
    "COST",
    "CPU",
    "SERIES",
    "MEMORY",
    "LOST",
    "ARMED IN",
)
_RIGHT = frozenset(range(len(_HEAD))) - {0, 1, 3}


def table(tree: Mapping[str, Any], now: float, width: int | None = None) -> str:
    """`now`: seconds since 1970. `width`: where sentences are broken; None: nowhere."""
    if tree.get("disabled"):
        return switched_off(tree)
    scripts = sorted(tree["scripts"], key=lambda script: (_rank(script), script["name"]))
    others = absent(tree)
    rows = [list(_HEAD), *(_row(script, now) for script in scripts)]
    rows += [[entry["name"], entry["state"], *_unknown(entry)] for entry in others]
    if len(rows) == 1:
        return "\n".join(["no scripts", *stores(tree, now, width)])
    kept, right = status_text.without_empty(rows, _RIGHT)
    head, *lines = status_text.columns(kept, right)
    found = [f"  {head}"]
    for line, entry in zip(lines, [*scripts, *others], strict=True):
        is_absent = entry in others
        found.append(f"{' ' if is_absent else _MARKS[_rank(entry)]} {line}")
        for text in [entry["reason"]] if is_absent else said(entry, now):
            found += status_text.indented(text, width) if text else []
    return "\n".join([*found, *stores(tree, now, width)])


def stores(tree: Mapping[str, Any], now: float, width: int | None = None) -> list[str]:
    """The stores of modules that do not give what they should, and why."""
    found = []
    for store in tree.get("stores", ()):
        if store["state"] == "ready":
            continue
        found.append(f"! store {store['url']}: {store['state']}{_last_success(store, now)}")
        found += status_text.indented(store["problem"] or _NEVER, width)
    return ["", *found] if found else []


_NEVER = "nobody has asked it for this kernel: systemctl start stapwatch-sync"


def _last_success(store: Mapping[str, Any], now: float) -> str:
    """`, and all was well 2 h ago`; empty if it never was."""
    when = store["succeeded"]
    return f"; all was well {duration(now - when)} ago" if when else ""


_MARKS = ("!", "*", " ")


def _rank(script: Mapping[str, Any]) -> int:
    """0: it does not run as it should; 1: something is to be said; 2: all is well."""
    if script["state"] in BAD:
        return 0
    incomplete = script.get("complete") is False and script["state"] == "running"
    return 1 if incomplete or reasons(script) or script.get("last_error") else 2


def _row(script: Mapping[str, Any], now: float) -> list[str]:
    hits_per_second = script.get("hits_per_second")
    due = script.get("disarmed", {}).get("armed_in_seconds")
    since = script.get("since")
    return [
        script["name"],
        script["state"],
        NOTHING if since is None else duration(now - since),
        script.get("revision", ""),
        rate(hits_per_second),
        # what there is without a measurement
        number(script.get("hits")) if hits_per_second is None else NOTHING,
        cost(script.get("cost_ns")),
        share(script.get("cpu_share")),
        number(script.get("series")),
        memory(script.get("memory_bytes")),
        number(script.get("lost")),
        NOTHING if due is None else duration(due),
    ]


def _unknown(entry: Mapping[str, Any]) -> list[str]:
    """The cells of a script that is not loaded here."""
    cells = [NOTHING] * (len(_HEAD) - 2)
    cells[1] = entry.get("revision", "")
    return cells


def said(script: Mapping[str, Any], now: float) -> list[str]:
    """The sentences below the row of a script."""
    found = reasons(script)
    if losses := script.get("losses"):
        found.append(f"lost: {', '.join(f'{count:,} {r}' for r, count in losses.items())}")
    if unplaced := script.get("unplaced"):
        names = ", ".join(entry["probe"] for entry in unplaced[:3])
        more = f" and {len(unplaced) - 3} more" if len(unplaced) > 3 else ""
        found.append(
            f"not attached: {names}{more}; for the reasons: stapwatch status {script['name']}"
        )
    if error := script.get("last_error"):
        age = duration(now - error["timestamp"])
        found.append(f"last error, {age} ago: {error['text']}")
    return found
