# SPDX-License-Identifier: GPL-2.0-or-later
"""The defaults of the configuration and of limits, as a configuration file has them.

default("budgets.cpu")     -> "5 %"
default("listen")          -> "127.0.0.1:9436"
limit("MAXACTION")         -> "2,000"
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from agent.config.budgets import percent
from agent.config.settings import MetricSettings, ScriptSettings, Settings
from agent.config.yaml_tree import Position
from compiler.ir.options import Limits
from runtime.support.str_enum import StrEnum

_NOWHERE = Position("")
_SHARES = ("cpu", "one_cpu")
_ROOTS: dict[str, Any] = {
    "script": ScriptSettings("", _NOWHERE),
    "metric": MetricSettings("", _NOWHERE),
}


def default(path: str) -> str:
    """`path`: attributes of Settings, or behind "script." and "metric." of a script's or a metric's."""
    first, *rest = path.split(".")
    start, names = (_ROOTS[first], rest) if first in _ROOTS else (Settings(), [first, *rest])
    return _text(names[-1], reduce(getattr, names, start))


def limit(name: str) -> str:
    return f"{getattr(Limits(), name):,}"


def _text(name: str, value: Any) -> str:
    match value:
        case None:
            return "off"
        case bool():
            return "true" if value else "false"
        case StrEnum():
            return value.value
        case int() if name in _SHARES:
            return percent(value)
        case int() if name == "hit_time":
            return f"{value / 1e6:g} ms"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g} s"
        case tuple():
            return ", ".join(_text("", item if name != "pauses" else float(item)) for item in value)
        case _:
            return str(value)
