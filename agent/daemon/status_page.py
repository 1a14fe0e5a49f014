# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's status: a web page, JSON, and the table of `stapwatch status`.

status(...) -> {"version": "0.1.0", "ready": true, "scripts": [{"name": "vfs", "state": "running", ...}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from agent.daemon.self_metrics import Health
from agent.scripts.script import Script
from compiler.version import VERSION
from runtime.reader.snapshot import Snapshot
from runtime.support.escapes import readable

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .7rem;text-align:left;vertical-align:top;
border-bottom:1px solid #8884}td.n{text-align:right;font-variant-numeric:tabular-nums}
.failed,.outdated{color:#b00020}.running{color:#06752f}pre{white-space:pre-wrap;margin:0}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}
.failed,.outdated{color:#f77}.running{color:#7d9}}"""


def status(
    health: Health,
    ready: bool,
    addresses: tuple[str, ...],
    scripts: Mapping[str, Script],
    snapshots: Mapping[str, Snapshot],
) -> dict[str, Any]:
    """The whole status of the agent as a JSON tree. Its texts are valid UTF-8, as most readers require."""
    tree = {
        "version": VERSION,
        "ready": ready,
        "listen": list(addresses),
        "reload": {
            "successful": health.reload_successful,
            "timestamp": health.reload_time,
            "error": health.reload_error,
        },
        "scripts": [_script(s, snapshots.get(n)) for n, s in sorted(scripts.items())],
    }
    found: dict[str, Any] = _readable(tree)
    return found


def _readable(tree: Any) -> Any:
    """The tree with bytes that are not UTF-8 escaped in its texts."""
    match tree:
        case str():
            return readable(tree)
        case dict():
            return {key: _readable(value) for key, value in tree.items()}
        case list():
            return [_readable(value) for value in tree]
        case _:
            return tree


def _script(script: Script, shot: Snapshot | None) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "name": script.name,
        "state": script.state.value,
        "reason": script.reason,
        "source": str(script.settings.file or script.settings.position),
        "module": script.module.name if script.module is not None else "",
        "problems": list(script.problems),
        "compile_seconds": round(script.compile_seconds, 3),
        "load_seconds": round(script.load_seconds, 3),
    }
    if shot is not None:
        tree |= {
            "hits": sum(probe.hits for probe in shot.probes),
            "errors": sum(probe.errors for probe in shot.probes),
            "lost": _lost(shot),
            "series": sum(map(len, shot.tables)),
            "memory": shot.header.memory,
            "probes": len(shot.probes),
            "unplaced": [
                {"probe": what, "errno": why}
                for p in shot.probes
                for what, why in p.failed_attachments
            ],
        }
    return tree


def _lost(shot: Snapshot) -> int:
    """Hits, updates and events that are missing from the script's tables and output."""
    hits = sum(p.skipped_reentrant + p.skipped_lock + p.missed for p in shot.probes)
    return hits + shot.lanes.events_lost + sum(table.dropped for table in shot.tables)


def page(tree: Mapping[str, Any]) -> bytes:
    """The status page as HTML."""
    rows = "".join(map(_row, tree["scripts"])) or "<tr><td colspan=7>no scripts</td></tr>"
    error = tree["reload"]["error"]
    reload = f"<p class=failed>last reload failed:</p><pre>{escape(error)}</pre>" if error else ""
    return f"""<!DOCTYPE html><html lang=en><meta charset=utf-8><title>stapwatch</title>
<meta name=viewport content="width=device-width"><style>{_STYLE}</style>
<h1>stapwatch {escape(tree["version"])}</h1>
<p><a href="/metrics">metrics</a> · <a href="/status">status (JSON)</a> ·
<a href="/-/healthy">healthy</a> · <a href="/-/ready">ready</a></p>{reload}
<table><tr><th>script<th>state<th>hits<th>errors<th>lost<th>kernel memory<th>why</tr>{rows}</table>
</html>
""".encode()


def _row(script: Mapping[str, Any]) -> str:
    numbers = "".join(
        f"<td class=n>{script[key]:,}" if key in script else "<td class=n>"
        for key in ("hits", "errors", "lost", "memory")
    )
    why = "<br>".join(map(escape, filter(None, [script["reason"], *script["problems"]])))
    state = escape(script["state"])
    return (
        f'<tr><td title="{escape(script["source"])}">{escape(script["name"])}'
        f"<td class={state}>{state}{numbers}<td>{why}</tr>"
    )


def table(tree: Mapping[str, Any]) -> str:
    """The status for a terminal."""
    head = ["SCRIPT", "STATE", "HITS", "ERRORS", "LOST", "MEMORY", "WHY"]
    rows = [head]
    for s in tree["scripts"]:
        numbers = [str(s.get(key, "-")) for key in ("hits", "errors", "lost", "memory")]
        why = "; ".join(filter(None, [s["reason"], *s["problems"]])).replace("\n", " ")
        rows.append([s["name"], s["state"], *numbers, why])
    widths = [max(len(row[n]) for row in rows) for n in range(len(head) - 1)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if 2 <= n <= 5 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)
