# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in a dashboard: panels, expressions, and expressions as Grafana sends them to Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_VALUES = {
    "job": "stapwatch",
    "script": ".+",
    "topk": "10",
    "__rate_interval": "1m",
    "__interval": "15s",
}
_VARIABLE = re.compile(r"\$(\w+)")


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that show something."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def expressions(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """With the titles of their panels."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def notes(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((note["name"], note["expr"]) for note in board["annotations"]["list"])


def filled(expr: str, instance: str) -> str:
    """With values for the variables that the dashboard has; what Grafana does not know, it leaves."""
    known = {**_VALUES, "instance": instance}
    return _VARIABLE.sub(lambda match: known.get(match[1], match[0]), expr)
