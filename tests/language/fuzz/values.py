# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of the language: 64-bit numbers that wrap, and strings.

divide(-7, 2)  ->  -3
"""

from __future__ import annotations

from collections.abc import Callable

Value = int | str
Keys = tuple[Value, ...]


class TooLong(Exception):
    """The program exceeds the limits of a script."""


class Failure(Exception):
    """A script's error. `callers`: the functions that it has left, the innermost first; those of one name that
    follow each other are one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.callers: list[str] = []

    def leave(self, function: str) -> None:
        if self.callers[-1:] != [function]:
            self.callers.append(function)

    def told(self) -> str:
        return f"ERROR: {self}" + "".join(f" <- {name}" for name in self.callers)


def wrap(value: int) -> int:
    """The number as a signed 64-bit integer."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def divide(a: int, b: int) -> int:
    """The quotient, rounded towards zero."""
    if b == 0:
        raise Failure("division by 0")
    return wrap(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: wrap(a + b),
    "-": lambda a, b: wrap(a - b),
    "*": lambda a, b: wrap(a * b),
    "/": divide,
    "%": lambda a, b: wrap(a - b * divide(a, b)),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: wrap(a << (b & 63)),
    ">>": lambda a, b: a >> (b & 63),
    ">>>": lambda a, b: wrap((a % (1 << 64)) >> (b & 63)),
}


def compare(op: str, a: Value, b: Value) -> int:
    left, right = (a, b) if isinstance(a, int) else (str(a), str(b))
    match op:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)  # type: ignore[operator]
        case "<=":
            return int(left <= right)  # type: ignore[operator]
        case ">":
            return int(left > right)  # type: ignore[operator]
        case _:
            return int(left >= right)  # type: ignore[operator]


def number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def text(value: Value) -> str:
    assert isinstance(value, str)
    return value
