# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that the program does not define: those of the library, and some in C with their meaning.

call("substr", ["abc", 1, 5], None)  ->  "bc"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.language.fuzz import regex
from tests.language.fuzz.tree import Type
from tests.language.fuzz.values import Failure, Value, divide, number, text, wrap


@dataclass(frozen=True, slots=True)
class Match:
    """The last match of a regular expression: `start` to `end` of `text`."""

    pattern: regex.Pattern
    text: str
    start: int
    end: int


def match(pattern: regex.Pattern, subject: str) -> Match | None:
    found = regex.search(pattern, subject)
    return Match(pattern, subject, *found) if found else None


# ---------------------------------------------------------------- the library

NAMES = ("strlen", "substr", "isinstr", "strtol", "matched", "ngroups")


def call(name: str, args: Sequence[Value], last: Match | None) -> Value:
    match name, args:
        case "strlen", [str(s)]:
            return len(s)
        case "substr", [str(s), int(start), int(length)]:
            if start < 0 or length <= 0:
                return ""
            return s[start : start + length]
        case "isinstr", [str(s), str(part)]:
            return int(part in s)
        case "strtol", [str(s), int(base)]:
            return wrap(int(s, base))
        case "matched", [int(n)]:
            return _matched(last, n)
        case "ngroups", []:
            if last is None:
                raise Failure("no regular expression has matched")
            return regex.count_groups(last.pattern)
    raise AssertionError(name)


def _matched(last: Match | None, n: int) -> str:
    if last is None:
        raise Failure("no regular expression has matched")
    if not 0 <= n < regex.count_groups(last.pattern):
        raise Failure("the regular expression has no such group")
    if n == 0:
        return last.text[last.start : last.end]
    found = regex.groups(last.pattern, last.text, last.start, last.end)
    start, end = found.get(n, (0, 0))
    return last.text[start:end]


# ---------------------------------------------------------------- C


@dataclass(frozen=True, slots=True)
class Embedded:
    """A function's types, and the result of its C."""

    parameters: tuple[tuple[str, Type], ...]
    type: Type
    meaning: Callable[..., Value]


def _checked(x: Value) -> Value:
    if number(x) < 0:
        raise Failure(f"negative: {x}")
    return number(x) // 2


def _twice(s: Value) -> Value:
    return text(s) + "|" + text(s)


def _named(n: Value, s: Value) -> Value:
    if number(n) == 1:
        return "one"
    return text(s) if number(n) == 2 else ""


def _refused(s: Value, n: Value) -> Value:
    if text(s)[:1] == "a":
        raise Failure(f"'{text(s)[:5]}' refused")
    return len(text(s)) ^ number(n)


EMBEDDED: dict[str, Embedded] = {
    "STAP_RETVALUE = STAP_ARG_a * 3 + (STAP_ARG_b >> 1);": Embedded(
        (("a", "long"), ("b", "long")),
        "long",
        lambda a, b: wrap(number(a) * 3 + (number(b) >> 1)),
    ),
    "/* pure */ STAP_RETVALUE = STAP_ARG_a / 7;": Embedded(
        (("a", "long"),), "long", lambda a: divide(number(a), 7)
    ),
    """if (STAP_ARG_x < 0)
\tSTAP_ERROR("negative: %lld", (long long)STAP_ARG_x);
STAP_RETVALUE = STAP_ARG_x / 2;""": Embedded((("x", "long"),), "long", _checked),
    """strlcpy(STAP_RETVALUE, STAP_ARG_s, MAXSTRINGLEN);
strlcat(STAP_RETVALUE, "|", MAXSTRINGLEN);
strlcat(STAP_RETVALUE, STAP_ARG_s, MAXSTRINGLEN);""": Embedded(
        (("s", "string"),), "string", _twice
    ),
    """if (STAP_ARG_n == 1)
\tSTAP_RETURN("one");
if (STAP_ARG_n == 2)
\tSTAP_RETURN(STAP_ARG_s);""": Embedded((("n", "long"), ("s", "string")), "string", _named),
    """int i = 0;
while (STAP_ARG_s[i])
\ti++;
if (STAP_ARG_s[0] == 'a')
\tSTAP_ERROR("'%.5s' refused", STAP_ARG_s);
STAP_RETVALUE = i ^ STAP_ARG_n;""": Embedded((("s", "string"), ("n", "long")), "long", _refused),
}
