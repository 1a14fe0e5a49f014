# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts that would overflow the stack of what they interrupt, in a process and in a timer's interrupt. The
fixture `guest` fails the test if the kernel complains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.conftest import Case, check
from tests.handlers.test_language import MINE


def large(count: int, body: str = "") -> str:
    """A body whose numbers all live to its end; `sum` is count * (count - 1) / 2 * n."""
    given = "; ".join(f"v{i} = n * {i}" for i in range(count))
    return f"{given}; {body}; " + "; ".join(f"sum += v{i}" for i in range(count))


LOCALS = f"function f(n) {{ {large(600, 'if (n > 1) below = f(n - 1)')}; return sum + below }}\n"
TINY = "function f(n) { return n ? 1 + f(n - 1) : 0 }\n"
OVERFLOW = "stack overflow, functions are nested too deep"
TIMER = "probe timer.ms(20) { if (turns++) exit() else"
DEEP = {"MAXNESTING": "1000", "MAXACTION": "1000000"}

CASES = [
    Case(
        "recursion with 600 locals",
        f'{LOCALS} global n; probe kernel.function("vfs_read") {{ {MINE} n += f(10) }}',
        trigger="read 3",
        values={"n": 3 * 55 * 300 * 599},
        defines={"MAXACTION": "1000000"},
    ),
    Case(
        "recursion with 600 locals in an interrupt",
        f"{LOCALS} global n, turns; {TIMER} n = f(10) }}",
        values={"n": 55 * 300 * 599},
        defines={"MAXACTION": "1000000"},
        until_exit=True,
    ),
    Case(
        "recursion a thousand times",
        f"""{TINY} global caught, least; probe kernel.function("vfs_read") {{ {MINE}
            least = f(20); try {{ least += f(900) }} catch (e) {{ caught[e]++ }} }}""",
        trigger="read 3",
        values={"least": 20, "caught": {OVERFLOW: 3}},
        defines=DEEP,
    ),
    Case(
        "recursion a thousand times in an interrupt",
        f"{TINY} global turns; {TIMER} println(f(900)) }}",
        errors=(OVERFLOW,),
        defines=DEEP,
        until_exit=True,
    ),
    Case(
        "a handler with 1,500 locals",
        f'global n; probe kernel.function("vfs_read") {{ {MINE} n = 2; {large(1500)}; n = sum }}',
        trigger="read 3",
        values={"n": 1500 * 1499},
        defines={"MAXACTION": "10000"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
