# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's status as a web page, made of the tree that `/status` answers (status_tree.py).

page(tree) -> b"<!DOCTYPE html>..."
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from agent.daemon.status_tree import absent, reasons, switched_off

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .7rem;text-align:left;vertical-align:top;
border-bottom:1px solid #8884}td.n{text-align:right;font-variant-numeric:tabular-nums}
.failed,.outdated,.disarmed,.disarmed_by_operator,.quarantined{color:#b00020}
.running{color:#06752f}pre{white-space:pre-wrap;margin:0}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}
.failed,.outdated,.disarmed,.disarmed_by_operator,.quarantined{color:#f77}.running{color:#7d9}}"""


def page(tree: Mapping[str, Any]) -> bytes:
    """The status page as HTML."""
    others = ({**entry, "problems": [], "source": ""} for entry in absent(tree))
    rows = (
        "".join(map(_row, (*tree["scripts"], *others))) or "<tr><td colspan=7>no scripts</td></tr>"
    )
    error = tree["reload"]["error"]
    reload = f"<p class=failed>last reload failed:</p><pre>{escape(error)}</pre>" if error else ""
    off = f"<p class=failed>{escape(switched_off(tree))}</p>" if tree["disabled"] else ""
    return f"""<!DOCTYPE html><html lang=en><meta charset=utf-8><title>stapwatch</title>
<meta name=viewport content="width=device-width"><style>{_STYLE}</style>
<h1>stapwatch {escape(tree["version"])}</h1>
<p><a href="/metrics">metrics</a> · <a href="/status">status (JSON)</a> ·
<a href="/-/healthy">healthy</a> · <a href="/-/ready">ready</a></p>{reload}{off}
<table><tr><th>script<th>state<th>hits<th>errors<th>lost<th>kernel memory<th>why</tr>{rows}</table>
</html>
""".encode()


def _row(script: Mapping[str, Any]) -> str:
    numbers = "".join(
        f"<td class=n>{script[key]:,}" if key in script else "<td class=n>"
        for key in ("hits", "errors", "lost", "memory_bytes")
    )
    why = "<br>".join(map(escape, reasons(script)))
    state = escape(script["state"])
    return (
        f'<tr><td title="{escape(script["source"])}">{escape(script["name"])}'
        f"<td class={state}>{state}{numbers}<td>{why}</tr>"
    )
