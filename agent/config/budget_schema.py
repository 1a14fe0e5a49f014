# SPDX-License-Identifier: GPL-2.0-or-later
"""The `budgets:` sections: of the whole configuration, and of one script.

budgets: {cpu: 10%, kernel_memory: 64MiB, total: {series: off}}
-> {"cpu": 100_000, "kernel_memory": Memory(64 << 20)}, {"series": None}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from agent.config import schema
from agent.config.budgets import (
    BURST_SECONDS,
    NO_BUDGETS,
    NO_TOTAL,
    Budgets,
    Memory,
    TotalBudgets,
)
from agent.config.schema import Reader, SchemaError
from agent.config.yaml_tree import ConfigDiagnostic, Entry, Mapping, Node, Scalar
from runtime.abi.structs import MILLION
from runtime.support.record import asdict, record, replace

T = TypeVar("T")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MOVED = {"rate_limit", "burst"}


@record
class Given:
    """What a file says about budgets. `is_off`: they are all off, those of scripts included."""

    script: Budgets = Budgets()
    total: TotalBudgets = TotalBudgets()
    is_off: bool = False


def read_budgets(node: Node, reader: Reader) -> Given:
    """The section of the whole configuration."""
    if is_off(node):
        return Given(NO_BUDGETS, NO_TOTAL, True)
    fields = {**_fields(reader), "total": lambda n: _Off(_total(n, reader))}
    values = _plain(reader.record(node, "budgets", fields))
    total = values.pop("total", TotalBudgets())
    return Given(replace(Budgets(), **values), total)


def read_script_budgets(node: Node, reader: Reader) -> dict[str, Any]:
    """What a script's section changes of the common budgets, by field."""
    if is_off(node):
        values = asdict(NO_BUDGETS)
        del values["pauses"]
        return values
    if isinstance(node, Mapping) and (entry := node.entries.get("total")) is not None:
        raise SchemaError(
            entry.position,
            "a script has no total",
            "move it to the budgets of the whole configuration",
        )
    return _plain(reader.record(node, "budgets", _fields(reader)))


def report_moved(log: Node, reader: Reader) -> Node:
    """The `log:` section without the keys that were budgets before there were any; they are reported."""
    if not isinstance(log, Mapping):
        return log
    for key in sorted(log.entries.keys() & _MOVED):
        message = f"'{key}' is a budget now"
        hint = f"write budgets: {{log_lines: 200}}; {BURST_SECONDS} seconds' worth may come at once"
        reader.diagnostics.append(ConfigDiagnostic(log.entries[key].position, message, hint))
    kept: dict[str, Entry] = {k: e for k, e in log.entries.items() if k not in _MOVED}
    return Mapping(kept, log.position)


def is_off(node: Node) -> bool:
    """`off`, which YAML takes for a truth value unless it is quoted."""
    return isinstance(node, Scalar) and node.text.lower() == "off"


@record
class _Off:
    """A value that may be None, which Reader.record takes for an error."""

    value: Any


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v.value if isinstance(v, _Off) else v for k, v in values.items()}


def _or_off(read: Callable[[Node], T]) -> Callable[[Node], _Off]:
    return lambda node: _Off(None if is_off(node) else read(node))


def _fields(reader: Reader) -> dict[str, Callable[[Node], Any]]:
    return {
        "cpu": _or_off(_share),
        "one_cpu": _or_off(_share),
        "hit_time": _or_off(lambda node: round(schema.seconds(node) * 1e9)),
        "hit_rate": _or_off(_number),
        "kernel_memory": _or_off(_memory),
        "log_lines": _or_off(_number),
        "log_lines_per_statement": _or_off(_number),
        "series": _or_off(_number),
        "pauses": lambda node: _Off(_pauses(node, reader)),
    }


def _total(node: Node, reader: Reader) -> TotalBudgets:
    if is_off(node):
        return NO_TOTAL
    fields: dict[str, Callable[[Node], Any]] = {
        "cpu": _or_off(_share),
        "kernel_memory": _or_off(_memory),
        "series": _or_off(_number),
    }
    return replace(TotalBudgets(), **_plain(reader.record(node, "total", fields)))


def _pauses(node: Node, reader: Reader) -> tuple[float, ...]:
    return () if is_off(node) else reader.items(node, "pauses", schema.seconds)


def _number(node: Node) -> int:
    try:
        return schema.integer(1)(node)
    except SchemaError as error:
        found = error.diagnostic
        raise SchemaError(found.position, found.message, "write off for no limit") from None


def _share(node: Node) -> int:
    """Millionths of a share that is written in percent."""
    found = _percent(node)
    if found is None:
        raise SchemaError(
            node.position, f"must be a share, not {schema.kind(node)}", "write 5%, 0.5% or off"
        )
    return found


def _memory(node: Node) -> Memory:
    share = _percent(node)
    if share is not None:
        return Memory(share=share)
    match = re.fullmatch(
        r"([0-9]+(?:\.[0-9]+)?) ?(KiB|MiB|GiB|B)", node.text if isinstance(node, Scalar) else ""
    )
    size = int(Decimal(match[1]) * _UNITS[match[2]]) if match else 0
    if not size:
        raise SchemaError(
            node.position,
            f"must be a size, not {schema.kind(node)}",
            "write 64MiB, 1GiB, 5% (of the machine's memory) or off",
        )
    return Memory(size)


def _percent(node: Node) -> int | None:
    """None if there is no percent sign. Raises SchemaError for what is no share."""
    text = node.text if isinstance(node, Scalar) else ""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", text)
    if not match:
        return None
    share = int(Decimal(match[1]) * MILLION / 100)
    if not 0 < share <= MILLION:
        raise SchemaError(node.position, f"must be above 0% and at most 100%, not {text}")
    return share
