# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluates the conditions of conditional compilation, which are written between `%(` and `%?`.

    kernel_v >= "5.0" && arch == "x86*"   on a 6.1 kernel for x86_64   ->  True

A condition consists of comparisons `operand op literal` (or of two CONFIG_ options), joined by `&&`
and, with lower precedence, `||`. It has no parentheses. Versions, arch, runtime and CONFIG_ options
take shell wildcards with `==` and `!=`. An option that is off counts as the empty string, or as 0 in
a comparison with a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import zip_longest

from compiler.frontend.lexer import InvalidToken, Token
from compiler.ir.diagnostics import Diagnostics
from compiler.ir.source import Span
from runtime.support.record import field, record


@record
class Conditions:
    """The facts that a condition can test.

    `config` holds the kernel's CONFIG_ options. The names include CONFIG_, the values are those in
    .config without quotes; an option that is off is absent.
    """

    kernel_vr: str
    arch: str
    systemtap_v: str = "5.2"
    systemtap_privilege: str = "stapdev"
    guru_mode: bool = False
    runtime: str = "kernel"
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def kernel_v(self) -> str:
        """The version without the distribution's suffix: `6.1.0-13-amd64` gives `6.1.0`."""
        match = re.match(r"\d+(\.\d+)*", self.kernel_vr)
        return match[0] if match else self.kernel_vr


class _BadCondition(Exception):
    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.message, self.span = message, span


def evaluate(
    tokens: Sequence[Token], opening: Token, conditions: Conditions, diagnostics: Diagnostics
) -> bool:
    """Returns whether a condition holds; returns True after it has reported a malformed one."""
    invalid = [token.value.diagnostic for token in tokens if isinstance(token.value, InvalidToken)]
    for diagnostic in invalid:
        diagnostics.add(diagnostic)
    if invalid:
        return True
    try:
        truth = False
        for either in _split(tokens, "OR"):
            holds = [_compare(part, opening, conditions) for part in _split(either, "AND")]
            truth = truth or all(holds)
        return truth
    except _BadCondition as bad:
        diagnostics.error(
            "bad-condition",
            bad.message,
            bad.span,
            hint="conditions compare kernel_v, kernel_vr, arch, runtime, systemtap_v,"
            " systemtap_privilege, guru_mode, CONFIG_... or a literal with a literal",
        )
        return True


def _compare(tokens: Sequence[Token], opening: Token, known: Conditions) -> bool:
    if len(tokens) != 3:
        at = tokens[3] if len(tokens) > 3 else (tokens[-1] if tokens else opening)
        raise _BadCondition("expected one comparison", at.span)
    left, operator, right = tokens
    if operator.kind != "COMPARE":
        raise _BadCondition("expected a comparison operator", operator.span)
    if _is_option(left) and _is_option(right):
        options = [known.config.get(str(t.value)) for t in (left, right)]
        one, other = map(_number, options)
        if one is None or other is None:
            return _ordered(operator, _order(*(option or "" for option in options)))
        return _ordered(operator, _order(one, other))
    if right.kind not in ("STRING", "NUMBER"):
        raise _BadCondition("expected a string or a number to compare with", right.span)
    if left.kind in ("STRING", "NUMBER"):
        if left.kind != right.kind:
            raise _BadCondition("a string cannot be compared with a number", right.span)
        return _ordered(operator, _order(left.value, right.value))
    if left.kind != "IDENT":
        raise _BadCondition("expected a name, a string or a number", left.span)
    return _compare_fact(str(left.value), left, operator, right, known)


def _is_option(token: Token) -> bool:
    return token.kind == "IDENT" and str(token.value).startswith("CONFIG_")


def _number(option: str | None) -> int | None:
    """The numeric value of an option: 0 if it is off, None if it is not a number."""
    if option is None:
        return 0
    if not re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|[0-9]+)", option):
        return None
    return int(option, 16 if "x" in option.lower() else 10)


def _compare_fact(name: str, left: Token, operator: Token, right: Token, known: Conditions) -> bool:
    want = right.value
    if name == "guru_mode":
        if want not in (0, 1):
            raise _BadCondition("'guru_mode' is compared with 0 or 1", right.span)
        return _equality(operator, bool(want) == known.guru_mode)
    if name.startswith("CONFIG_"):
        return _compare_option(known.config.get(name), left, operator, want)
    if name not in _STRINGS:
        raise _BadCondition(f"'{name}' is unknown in conditions", left.span)
    if not isinstance(want, str):
        raise _BadCondition(f"'{name}' is compared with a string", right.span)
    have = str(getattr(known, name))
    if name == "systemtap_privilege":
        return _equality(operator, have == want)
    wild = bool(set("*?[") & set(want))
    if name in ("arch", "runtime") or (
        operator.value in ("==", "!=") and (wild or name != "systemtap_v")
    ):
        return _equality(operator, fnmatchcase(have, want))
    if wild:
        raise _BadCondition("a wildcard is only allowed with '==' and '!='", right.span)
    return _ordered(operator, compare_versions(have, want))


def _compare_option(option: str | None, left: Token, operator: Token, want: object) -> bool:
    if isinstance(want, str):
        return _equality(operator, fnmatchcase(option or "", want))
    number = _number(option)
    if number is None:
        raise _BadCondition(f"'{left.value}' is \"{option}\", not a number", left.span)
    return _ordered(operator, _order(number, want))


_STRINGS = frozenset(
    {"kernel_v", "kernel_vr", "systemtap_v", "systemtap_privilege", "arch", "runtime"}
)


def _equality(operator: Token, equal: bool) -> bool:
    if operator.value not in ("==", "!="):
        raise _BadCondition("only '==' and '!=' are allowed here", operator.span)
    return equal == (operator.value == "==")


def compare_versions(left: str, right: str) -> int:
    """Returns a number below, equal to or above 0 if `left` is older than, equal to or newer than
    `right`.

    Runs of digits are compared as numbers, all other text as text: "4.8" is older than "4.10", and
    "6.1" is older than "6.1.0".
    """
    parts = re.compile(r"[0-9]+|[^0-9]+")
    for a, b in zip_longest(parts.findall(left), parts.findall(right), fillvalue=""):
        order = _order(int(a), int(b)) if a.isdigit() and b.isdigit() else _order(a, b)
        if order:
            return order
    return 0


def _order(left: object, right: object) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return (left > right) - (left < right)
    return (str(left) > str(right)) - (str(left) < str(right))


def _ordered(operator: Token, order: int) -> bool:
    match operator.value:
        case "==":
            return order == 0
        case "!=":
            return order != 0
        case "<":
            return order < 0
        case "<=":
            return order <= 0
        case ">":
            return order > 0
        case _:
            return order >= 0


def _split(tokens: Sequence[Token], separator: str) -> Iterator[list[Token]]:
    part: list[Token] = []
    for token in tokens:
        if token.kind == separator:
            yield part
            part = []
        else:
            part.append(token)
    yield part
