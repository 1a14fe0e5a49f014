# SPDX-License-Identifier: GPL-2.0-or-later
"""A dashboard in Grafana's classic JSON, which its versions 9 to 13 read.

dashboard("script:vfs", "stapwatch / vfs", "...", [Section("vfs_reads", (Line((panel, panel)),))])
-> {"uid": "stapwatch-1a2b3c4d5e6f", "panels": [...], ...}

The uid comes from the name alone, so links and what people save stay when it is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agent.dashboards.panels import DATASOURCE, Panel, row
from agent.dashboards.promql import HERE, equals, one_of, selector
from runtime.support.record import record

TAG = "stapwatch"
# Of Grafana 9.0. Newer ones bring it up to date when they load it.
_SCHEMA = 36
_COLUMNS = 24
_TOPS = ("5", "10", "20", "50")


@record
class Line:
    """Panels side by side. `widths`: in 24ths; () for equal ones."""

    panels: tuple[Panel, ...]
    widths: tuple[int, ...] = ()
    height: int = 8


@record
class Section:
    title: str
    lines: tuple[Line, ...]


@record
class Note:
    """An annotation: where `expr` has a value; or, with `at_value`, at the times that its values are."""

    name: str
    expr: str
    text: str
    color: str
    at_value: bool = False


def dashboard(
    name: str,
    title: str,
    about: str,
    sections: Sequence[Section],
    notes: Sequence[Note],
    variables: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "uid": uid(name),
        "title": title,
        "description": about,
        "tags": [TAG],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "refresh": "1m",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "weekStart": "",
        "links": [_links()],
        "annotations": {"list": [_annotation(note) for note in notes]},
        "templating": {"list": [_datasource(), *variables]},
        "panels": list(_placed(sections)),
    }


def uid(name: str) -> str:
    return f"stapwatch-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


# -- variables ------------------------------------------------------------------------------------------


def targets(of: str) -> list[dict[str, Any]]:
    """Job and instance, from a metric of ours: other jobs are never chosen."""
    return [
        values_of("job", "Job", of),
        values_of("instance", "Instance", of, 'job=~"$job"'),
    ]


def values_of(label: str, title: str, metric: str, *matchers: str) -> dict[str, Any]:
    """The values that a label of a metric has, of which all are chosen."""
    name, brace, inside = metric.partition("{")
    whole = selector(name, inside.removesuffix("}") if brace else "", *matchers)
    query = f"label_values({whole}, {label})"
    return {
        "type": "query",
        "name": label,
        "label": title,
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": label},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
        "includeAll": True,
        "multi": True,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "hide": 0,
        "skipUrlSync": False,
    }


def topk() -> dict[str, Any]:
    chosen = _TOPS[1]
    return {
        "type": "custom",
        "name": "topk",
        "label": "Top",
        "query": ",".join(_TOPS),
        "current": {"selected": True, "text": chosen, "value": chosen},
        "options": [{"selected": n == chosen, "text": n, "value": n} for n in _TOPS],
        "includeAll": False,
        "multi": False,
        "hide": 0,
        "skipUrlSync": False,
    }


def _datasource() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "options": [],
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "regex": "",
        "hide": 0,
        "skipUrlSync": False,
    }


# -- annotations and links ------------------------------------------------------------------------------


def notes(*scripts: str) -> list[Note]:
    """Annotations for what changes numbers of these scripts or all: reloads, starts, revisions, disarms."""
    where = _scripts(scripts)
    info = f"count by (script, revision) ({selector('stapwatch_script_info', HERE, where)}"
    loaded = selector("stapwatch_config_last_reload_success_timestamp_seconds", HERE)
    started = selector("stapwatch_script_start_timestamp_seconds", HERE, where)
    disarmed = selector("stapwatch_script_disarmed_total", HERE, where)
    return [
        Note("Reloads", f"1000 * ({loaded} > 0)", "{{instance}}", "blue", True),
        Note("Starts", f"1000 * {started}", "{{script}} on {{instance}}", "green", True),
        Note(
            "New revisions",
            f"{info}) unless {info} offset 5m)",
            "{{script}} {{revision}}",
            "purple",
        ),
        Note(
            "Disarms",
            f"sum by (instance, script, budget) (changes({disarmed}[5m])) > 0",
            "{{script}} on {{instance}}: {{budget}}",
            "red",
        ),
    ]


def _scripts(scripts: Sequence[str]) -> str:
    if len(scripts) > 1:
        return one_of("script", scripts)
    return equals("script", scripts[0]) if scripts else ""


def _annotation(note: Note) -> dict[str, Any]:
    """In the form of Grafana 9, which newer versions translate when they load it."""
    return {
        "name": note.name,
        "datasource": DATASOURCE,
        "enable": True,
        "expr": note.expr,
        "iconColor": note.color,
        "step": "60s",
        "tagKeys": "instance,script",
        "textFormat": note.text,
        "titleFormat": note.name,
        "useValueForTime": note.at_value,
    }


def _links() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": TAG,
        "tags": [TAG],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }


# -- places ---------------------------------------------------------------------------------------------


def _placed(sections: Iterable[Section]) -> Iterator[Panel]:
    """All panels with numbers and places, one section below the other."""
    number, y = 1, 0
    for section in sections:
        yield row(section.title) | {"id": number, "gridPos": _place(0, y, _COLUMNS, 1)}
        number, y = number + 1, y + 1
        for line in section.lines:
            x, count = 0, len(line.panels)
            for panel, width in zip(
                line.panels, line.widths or [_COLUMNS // count] * count, strict=True
            ):
                yield panel | {"id": number, "gridPos": _place(x, y, width, line.height)}
                number, x = number + 1, x + width
            y += line.height


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}
