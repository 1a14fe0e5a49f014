# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies with more numbers than the stack should hold, and calls that are nested deeper than it can."""

from __future__ import annotations

import pytest

from tests.language.userspace import Script
from tests.language.workbench import Ran, hosted, run


def total(count: int) -> str:
    return "; ".join(f"sum += v{i}" for i in range(count))


def deep(text: str, nesting: int = 1000) -> Ran:
    defines = {"MAXNESTING": str(nesting), "MAXACTION": "1000000"}
    (found,) = hosted().run([Script("x", text, defines=defines)])
    assert not found.fault, found.fault
    return Ran(found.output, found.errors)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1500])
def test_the_numbers_of_a_handler_keep_their_values(count: int) -> None:
    given = "; ".join(f"v{i} = n * {i + 1}" for i in range(count))
    text = f"global n = 3; probe begin {{ n = 7; {given}; n = 0; {total(count)}; println(sum) }}"
    assert run(text) == Ran(f"{7 * count * (count + 1) // 2}\n")


@pytest.mark.parametrize("count", [1, 15, 16, 17, 600])
def test_each_level_of_a_recursion_has_numbers_of_its_own(count: int) -> None:
    given = "; ".join(f"v{i} = n * {i}" for i in range(count))
    text = f"""function f(n) {{ {given}; if (n) below = f(n - 1); {total(count)}; return below + sum }}
        probe begin {{ println(f(9)); println(f(4)) }}"""
    each = count * (count - 1) // 2
    assert deep(text, 10) == Ran(f"{45 * each}\n{10 * each}\n")


def test_numbers_of_a_large_body_begin_as_zero_in_each_hit() -> None:
    given = "; ".join(f"v{i} += {i}" for i in range(200))
    text = f"function f() {{ {given}; return v199 + v1 }} probe begin {{ println(f(), f()); {given}; println(v199) }}"
    assert run(text) == Ran("200200\n199\n")


def test_strings_loops_and_statistics_of_a_large_body() -> None:
    given = "; ".join(f"v{i} = {i}" for i in range(100))
    text = f"""global a, s
    function f:string(n, t:string) {{ {given}
        foreach (k in a+) t = sprintf("%s %d:%d", t, k, v99)
        foreach (v = k in a- limit 2) t = t . sprint(v, @count(s), @max(s))
        for (i = 0; i < 3; i++) {{ if (i == 1) continue; n += i / 1 }}
        return t . " " . sprint(n) }}
    probe begin {{ a[1] = 4; a[2] = 3; a[3] = 5; s <<< 9; s <<< 8; println(f(5, "x")) }}"""
    assert run(text) == Ran("x 2:99 1:99 3:99529429 7\n")


def test_names_that_the_frame_has_already() -> None:
    given = "; ".join(f"v{i} = n" for i in range(100))
    text = f"""global n = 1; probe begin {{ n = 4; {given}
        data = 1; text_0 = 2; t1 = 3; f = 5; value = sprint(n, data); println(value, data, text_0, t1, f, v99) }}"""
    assert run(text) == Ran("41123" + "54\n")


def test_calls_that_the_stack_does_not_hold_are_an_error_that_can_be_caught() -> None:
    text = """function f(n) { return 1 + f(n + 1) }
    probe begin { try { println(f(0)) } catch (e) { println("caught: ", e) } println(f(1)) }"""
    found = deep(text)
    assert found.output == "caught: stack overflow, functions are nested too deep\n"
    overflow = "stack overflow, functions are nested too deep at x.stp:1:1"
    assert found.errors == (f"{overflow} (called from identifier 'f' at x.stp:2:86)",)


def test_calls_of_two_functions_overflow_alike() -> None:
    text = """function f:string(n) { return g(n + 1) . "f" } function g:string(n) { return f(n + 1) . "g" }
    probe begin { println(f(0)) }"""
    found = deep(text)
    assert [e.partition(",")[0] for e in found.errors] == ["stack overflow"]


def test_the_default_nesting_fits() -> None:
    found = deep("function f(n) { return n ? 1 + f(n - 1) : 0 } probe begin { println(f(9)) }", 10)
    assert found == Ran("9\n")


def test_a_long_chain_of_functions_is_checked_too() -> None:
    """It has no recursion, so nothing but the stack bounds it."""
    links = "".join(
        f"function f{i}(n) {{ x = n * 2; return f{i - 1}(n + 1) + x }}\n" for i in range(1, 900)
    )
    text = f"function f0(n) {{ return n }}\n{links}probe begin {{ println(f899(1)) }}"
    found = deep(text)
    assert [e.partition(",")[0] for e in found.errors] == ["stack overflow"]


def test_a_short_chain_of_functions_runs() -> None:
    links = "".join(f"function f{i}(n) {{ return f{i - 1}(n + 1) + 1 }}\n" for i in range(1, 30))
    text = f"function f0(n) {{ return n }}\n{links}probe begin {{ println(f29(1)) }}"
    assert run(text) == Ran("59\n")
