# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of expressions in Prometheus' language.

rate(selector("x_total", HERE, equals("kind", "a")))
-> 'rate(x_total{job=~"$job", instance=~"$instance", kind="a"}[$__rate_interval])'
"""

from __future__ import annotations

from collections.abc import Iterable

# What a dashboard's variables choose.
HERE = 'job=~"$job", instance=~"$instance"'
WINDOW = "$__rate_interval"
# Prometheus gives each series these labels, and renames those of the same name.
_TARGETS = ("job", "instance")
_ESCAPES = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "$": "\\x24", "[": "\\x5b", "{": "\\x7b"}
)


def selector(name: str, *matchers: str) -> str:
    inside = ", ".join(filter(None, matchers))
    return f"{name}{{{inside}}}" if inside else name


def equals(label: str, value: str) -> str:
    """Grafana would replace $job and [[job]] in the value, so they are escaped for Prometheus."""
    return f'{stored(label)}="{value.translate(_ESCAPES)}"'


def one_of(label: str, values: Iterable[str]) -> str:
    """`values`: plain words."""
    return f'{label}=~"{"|".join(values)}"'


def stored(label: str) -> str:
    """The name that a label of the page has in Prometheus."""
    return f"exported_{label}" if label in _TARGETS else label


def rate(series: str, window: str = WINDOW) -> str:
    return f"rate({series}[{window}])"


def increase(series: str, window: str = WINDOW) -> str:
    return f"increase({series}[{window}])"


def over(operation: str, expression: str, labels: Iterable[str] = ()) -> str:
    """over("sum", "x", ["a"]) -> "sum by (a) (x)"."""
    names = ", ".join(labels)
    return f"{operation} by ({names}) ({expression})" if names else f"{operation}({expression})"


def top(expression: str) -> str:
    """Those with the largest values, as many as the dashboard's variable says."""
    return f"topk($topk, {expression})"
