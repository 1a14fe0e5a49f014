# SPDX-License-Identifier: GPL-2.0-or-later
"""Panels of Grafana dashboards, as dicts; a dashboard places and numbers them.

lines("Reads", "What handlers counted.", "cps", [Query("rate(...)", "{{process}}")])
-> {"type": "timeseries", "title": "Reads", ...}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.support.record import record

Panel = dict[str, Any]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_PLAIN = {"steps": [{"color": "green", "value": None}], "mode": "absolute"}


@record
class Query:
    """`legend`: with {{LABEL}} for a label's value. `is_now`: only the newest values are asked for."""

    expr: str
    legend: str
    is_now: bool = False


def lines(
    title: str, about: str, unit: str, queries: Sequence[Query], stacked: bool = False
) -> Panel:
    """Values over time."""
    custom = {
        "drawStyle": "line",
        "fillOpacity": 30 if stacked else 10,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    legend = {
        "calcs": ["lastNotNull", "max"],
        "displayMode": "table",
        "placement": "bottom",
        "showLegend": True,
    }
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel("timeseries", title, about, queries, _fields(unit, custom=custom), options)


def number(
    title: str,
    about: str,
    unit: str,
    queries: Sequence[Query],
    words: Mapping[int, tuple[str, str]] | None = None,
) -> Panel:
    """The newest values in large. `words`: a text and a color for a value."""
    options = {
        "colorMode": "value" if words else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    }
    fields = _fields(unit, mappings=_mappings(words or {}), color={"mode": "thresholds"})
    return _panel("stat", title, about, queries, fields, options)


def table(title: str, about: str, unit: str, query: Query, value: str) -> Panel:
    """The labels of the series that are there now. `value`: the heading of their values."""
    panel = _panel(
        "table", title, about, [query], _fields(unit), {"frameIndex": 0, "showHeader": True}
    )
    panel["targets"][0]["format"] = "table"
    shown = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"Value": value}}
    panel["transformations"] = [{"id": "organize", "options": shown}]
    return panel


def heatmap(title: str, about: str, unit: str, query: Query) -> Panel:
    """Buckets over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "exponent": 0.5,
            "fill": "dark-orange",
            "mode": "scheme",
            "reverse": False,
            "scale": "exponential",
            "scheme": "Oranges",
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    panel = _panel("heatmap", title, about, [query], _fields(unit), options)
    panel["targets"][0]["format"] = "heatmap"
    return panel


def row(title: str) -> Panel:
    """The heading of the panels below it."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def _panel(
    kind: str,
    title: str,
    about: str,
    queries: Sequence[Query],
    fields: dict[str, Any],
    options: dict[str, Any],
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": fields, "overrides": []},
        "options": options,
        "targets": [_target(n, query) for n, query in enumerate(queries)],
    }


def _target(number: int, query: Query) -> dict[str, Any]:
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "format": "time_series",
        "instant": query.is_now,
        "legendFormat": query.legend,
        "range": not query.is_now,
        "refId": chr(ord("A") + number),
    }


def _fields(unit: str, **more: Any) -> dict[str, Any]:
    return {
        "unit": unit,
        "color": {"mode": "palette-classic"},
        "mappings": [],
        "thresholds": _PLAIN,
    } | more


def _mappings(words: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    if not words:
        return []
    found = {
        str(value): {"color": color, "index": number, "text": text}
        for number, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": found}]
