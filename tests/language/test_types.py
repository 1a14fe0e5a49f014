# SPDX-License-Identifier: GPL-2.0-or-later
"""Types: long, string, statistics, arrays; a missing element reads as 0 or ""; locals begin at zero."""

from __future__ import annotations

import pytest

from tests.language.workbench import Ran, refusal, run

CASES = {
    "a missing key": (
        """global n, t, s probe begin { n[1] = 1; t[1] = "x"; s[1] <<< 1
            println(n[2], "|", t[2], "|", @count(s[2]), @sum(s[2]), 2 in n, 2 in t, 2 in s) }""",
        "0||00000\n",
    ),
    "locals are zero at each hit and each call": (
        """function f() { x++; s .= "a"; return sprintf("%d%s", x, s) }
        probe begin { print(f(), f()); n++; t .= "b"; println(n, t) } probe begin { n++; t .= "b"; println(n, t) }""",
        "1a1a1b\n1b\n",
    ),
    "nine keys": (
        """global a probe begin {
            a[1, "2", 3, "4", 5, "6", 7, "8", 9] = 42; a[1, "2", 3, "4", 5, "6", 7, "8", 0]++
            foreach ([p, q, r, s, t, u, v, w, x-] in a) print(p, q, r, s, t, u, v, w, x, ":", a[p, q, r, s, t, u, v, w, x], " ")
            println([1, "2", 3, "4", 5, "6", 7, "8", 9] in a, [1, "2", 3, "4", 5, "6", 7, "9", 9] in a) }""",
        "123456789:42 123456780:1 10\n",
    ),
    "a shadowed global": (
        """global x = 5 function f(x) { x++; return x } probe begin { println(f(1), x) }""",
        "25\n",
    ),
    "64 bits": (
        """probe begin { x = 0x7fffffffffffffff; x++; println(x, " ", -x == x, " ", 0xffffffffffffffff, " ", x * x - 1) }""",
        "-9223372036854775808 1 -1 -1\n",
    ),
    "statistics as values of arrays": (
        """global s probe begin { s["a", 1] <<< 5; s["a", 1] <<< 7; s["b", 2] <<< 1
            foreach ([k, n] in s-) print(k, n, @sum(s[k, n]), @count(s[k, n]), " "); println(@avg(s["a", 1])) }""",
        "a1122 b211 6\n",
    ),
    "a string in a condition of another type": (
        """global t probe begin { if (t == "") println("empty"); t = "x"; println(t < "y", t . t == "xx") }""",
        "empty\n11\n",
    ),
    "a result compared before it is known": (
        """function f(n) { if (n <= 0) return ""; return f(n - 1) . "x" }
        probe begin { if (f(2) == s) println("no"); s = f(2); if (f(2) == s) println(s) }""",
        "xx\n",
    ),
    "types through recursion": (
        """function join(n) { if (n <= 0) return ""; return join(n - 1) . sprintf("%d", n) }
        probe begin { println(join(4)) }""",
        "1234\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimise", [True, False], ids=["optimised", "as written"])
def test_values(name: str, optimise: bool) -> None:
    script, wanted = CASES[name]
    assert run(script, optimise=optimise) == Ran(wanted)


@pytest.mark.parametrize(
    ("script", "slugs"),
    [
        ("global a probe begin { a[1] = 1; a[1, 2] = 1 }", {"arity-mismatch"}),
        ("global a probe begin { a[1] = 1; println(a) }", {"arity-mismatch"}),
        ("global a probe begin { a[1] = 1; delete a[1, 2] }", {"arity-mismatch"}),
        ("global a probe begin { a[1] = 1; foreach ([x, y] in a) println(x) }", {"arity-mismatch"}),
        ('global n probe begin { n = 1; n = "a" }', {"type-mismatch"}),
        ('global n probe begin { n[1] = 1; n["a"] = 1 }', {"type-mismatch"}),
        ('probe begin { x = 1; x = "a"; println(x) }', {"type-mismatch"}),
        ('function f(x) { return x } probe begin { f(1); f("a") }', {"type-mismatch"}),
        ('function f(x) { if (x) return 1; return "a" } probe begin { f(1) }', {"type-mismatch"}),
        ('function f:string(x) { return x } probe begin { f(1) }', {"type-mismatch"}),
        ("global s probe begin { s <<< 1; s = 2 }", {"type-mismatch"}),
        ("global s probe begin { s <<< 1; println(s + 1) }", {"type-mismatch"}),
        ('global s probe begin { s <<< "a" }', {"type-mismatch"}),
        ("probe begin { x <<< 1 }", {"not-a-statistic"}),
        ('probe begin { println("a" + 1) }', {"type-mismatch"}),
        ('probe begin { println(1 . "a") }', {"type-mismatch"}),
        ('probe begin { if ("a" == 1) next }', {"type-mismatch"}),
        ('probe begin { println(pid() ? "a" : 2) }', {"type-mismatch"}),
        ('probe begin { x["a"] = 1 }', {"unknown-array"}),
        ("global a[5] = 3 probe begin { a[1] = 1 }", {"array-initialised"}),
        ("global a = 3 probe begin { a[1] = 1 }", {"arity-mismatch"}),
        ("function f() { } probe begin { x = f() println(1, x = f()) }", {"no-value"}),
        ("probe begin { println(@enumname(1)) }", {"no-type"}),
        ('probe begin { println(@enumname(1, "file")) }', {"unknown-type"}),
        ('probe begin { println(@enumname(1, "nothing")) }', {"unknown-type"}),
        ('probe kernel.function("vfs_read") { println(@enumname($count)) }', {"unknown-type"}),
        ('probe begin { println(@enumname(1, "enum pid_type") + 1) }', {"type-mismatch"}),
        ("probe begin { println(x) }", {"unresolved-type"}),
        ("global g probe begin { println(g) }", {"unresolved-type"}),
        ("probe timer.s(1) if (local) { println(1) }", {"condition-variable"}),
        ("function f(x) { return x } probe begin { println(f()) }", {"wrong-arguments"}),
    ],
)  # fmt: skip
def test_mistakes(script: str, slugs: set[str]) -> None:
    assert set(refusal(script)) == slugs
