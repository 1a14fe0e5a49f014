# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers of YAML nodes: each turns a node into a value, or raises `SchemaError` with its position.

    number(Scalar("0.5"), ...) -> Decimal("0.5")
    record({"lables": ...}, "metric", {"labels": names})
    -> {} and "unknown key 'lables'; did you mean 'labels'?"

Readers of containers catch these errors and continue, so that one run reports all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, TypeVar

from agent.config.yaml_tree import ConfigDiagnostic, Mapping, Node, Position, Scalar, Sequence
from runtime.support.record import record
from runtime.support.str_enum import StrEnum

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
S64_MAX = (1 << 63) - 1
S64_MIN = -(1 << 63)


class SchemaError(Exception):
    """A value is invalid; the reader of the container around it collects the diagnostic."""

    def __init__(self, position: Position, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.diagnostic = ConfigDiagnostic(position, message, hint)


@record
class Reader:
    """Reads containers, and adds their errors to `diagnostics`."""

    diagnostics: list[ConfigDiagnostic]

    def attempt(self, read: Callable[[Node], T], node: Node) -> T | None:
        try:
            return read(node)
        except SchemaError as error:
            self.diagnostics.append(error.diagnostic)
            return None

    def record(
        self, node: Node, what: str, fields: dict[str, Callable[[Node], Any]]
    ) -> dict[str, Any]:
        """A mapping with known keys; returns the valid values."""
        values: dict[str, Any] = {}
        for key, entry in mapping(node, what).entries.items():
            if key not in fields:
                self.diagnostics.append(
                    ConfigDiagnostic(entry.position, f"unknown key '{key}'", suggest(key, fields))
                )
                continue
            value = self.attempt(fields[key], entry.node)
            if value is not None:
                values[key] = value
        return values

    def table(
        self, node: Node, what: str, read: Callable[[Node], T], keys: str = ".*"
    ) -> dict[str, T]:
        """A mapping whose keys match `keys`, with values of one kind."""
        values: dict[str, T] = {}
        for key, entry in mapping(node, what).entries.items():
            if not re.fullmatch(keys, key):
                self.diagnostics.append(
                    ConfigDiagnostic(entry.position, f"'{key}' cannot be a name in {what}")
                )
            value = self.attempt(read, entry.node)
            if value is not None:
                values[key] = value
        return values

    def items(self, node: Node, what: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """A list; a single value counts as a list of one."""
        nodes = node.items if isinstance(node, Sequence) else (node,)
        if isinstance(node, Mapping):
            raise SchemaError(node.position, f"{what} must be a list, not {kind(node)}")
        values = (self.attempt(read, item) for item in nodes)
        return tuple(value for value in values if value is not None)


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint: the closest known word, or all of them."""
    known = sorted(known)
    near = get_close_matches(word, known, 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"


def kind(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return f"the truth value {node.text}"
        case Scalar(value=int() | float()):
            return f"the number {node.text}"
        case _:
            return f"the text '{node.text}'"


def mapping(node: Node, what: str) -> Mapping:
    if isinstance(node, Mapping):
        return node
    if isinstance(node, Scalar) and node.value is None:
        return Mapping({}, node.position)
    raise SchemaError(
        node.position, f"{what} must be a mapping ('key: value' lines), not {kind(node)}"
    )


def text(node: Node) -> str:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.value
    hint = f'write "{node.text}" in quotes' if isinstance(node, Scalar) and node.text else ""
    raise SchemaError(node.position, f"must be text, not {kind(node)}", hint)


def word(node: Node) -> str:
    """Text; a number or truth value is taken as written."""
    if isinstance(node, Scalar) and node.value is not None:
        return node.text
    raise SchemaError(node.position, f"must be text or a number, not {kind(node)}")


def truth(node: Node) -> bool:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    raise SchemaError(node.position, f"must be true or false, not {kind(node)}")


def integer(low: int = S64_MIN, high: int = S64_MAX) -> Callable[[Node], int]:
    def read(node: Node) -> int:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            raise SchemaError(node.position, f"must be a whole number, not {kind(node)}")
        if not low <= value <= high:
            raise SchemaError(node.position, f"must be between {low} and {high}, not {value}")
        return value

    return read


def number(node: Node) -> Decimal:
    """An exact decimal, from the text as written: 1e-9 (which YAML 1.1 takes for text) is one too."""
    if isinstance(node, Scalar) and not isinstance(node.value, bool | None):
        try:
            value = Decimal(node.text.replace("_", ""))
        except InvalidOperation:
            value = Decimal("nan")
        if value.is_finite() and abs(value.adjusted()) < 40:
            return value
    raise SchemaError(node.position, f"must be a number, not {kind(node)}")


def long_or_text(node: Node) -> int | str:
    """The initial value of a script's global."""
    if (
        isinstance(node, Scalar)
        and isinstance(node.value, int)
        and not isinstance(node.value, bool)
    ):
        return integer()(node)
    return text(node)


def seconds(node: Node) -> float:
    """A duration: a number of seconds, or 100us, 500ms, 30s, 2m, 1h."""
    match = re.fullmatch(
        r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)?", node.text if isinstance(node, Scalar) else ""
    )
    if not match or float(match[1]) <= 0:
        raise SchemaError(
            node.position, f"must be a duration, not {kind(node)}", "write 30s, 500ms or 2m"
        )
    return (
        float(match[1]) * {"us": 1e-6, "ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}[match[2]]
    )


def choice(known: type[E]) -> Callable[[Node], E]:
    def read(node: Node) -> E:
        given = text(node)
        try:
            return known(given)
        except ValueError:
            raise SchemaError(
                node.position, f"unknown value '{given}'", suggest(given, [k.value for k in known])
            ) from None

    return read


def matching(pattern: str, what: str, hint: str) -> Callable[[Node], str]:
    def read(node: Node) -> str:
        given = text(node)
        if not re.fullmatch(pattern, given):
            raise SchemaError(node.position, f"'{given}' is not {what}", hint)
        return given

    return read
