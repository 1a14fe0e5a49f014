# SPDX-License-Identifier: GPL-2.0-or-later
"""Embedded C: functions, expressions, file level, globals and the names that C expects."""

from __future__ import annotations

import pytest

from compiler.resolve.embedded_c import inspect
from tests.language.workbench import Ran, compile_text, refusal, run

CASES = {
    "a result": ("function f:long(x) %{ STAP_RETVALUE = STAP_ARG_x + 1; %} probe begin { println(f(4)) }", "5\n"),
    "a string": (
        'function f(s) %{ strlcpy(STAP_RETVALUE, STAP_ARG_s, MAXSTRINGLEN); strlcat(STAP_RETVALUE, "!", MAXSTRINGLEN); %}'
        ' probe begin { println(f("a") . "b") }',
        "a!b\n",
    ),
    "early returns": (
        """function sign:long(x) %{ if (STAP_ARG_x < 0) STAP_RETURN(-1);
            if (!STAP_ARG_x) STAP_RETURN(0);
            STAP_RETVALUE = 1; %}
        function name:string(x:long) %{ if (STAP_ARG_x) STAP_RETURN("yes");
            STAP_RETURN("no"); %}
        function quiet() %{ STAP_RETURN(); %}
        probe begin { quiet(); println(sign(-9), sign(0), sign(9), name(1), name(0)) }""",
        "-101yesno\n",
    ),
    "prints": (
        r"""function show(n, s) %{ STAP_PRINTF("%d %s\n", (int)STAP_ARG_n, STAP_ARG_s); STAP_PRINTF("end\n"); %}
        probe begin { print("a "); show(3, "x"); print("b\n") }""",
        "a 3 x\nend\nb\n",
    ),
    "errors": (
        """function bad:long(n) %{ if (STAP_ARG_n > 1) STAP_ERROR("wrong guess: %d", (int)STAP_ARG_n);
            STAP_RETVALUE = 7; %}
        probe begin { println(bad(1)); try { println(bad(2)) } catch (m) { println(m) } }""",
        "7\nwrong guess: 2\n",
    ),
    "the oldest names": (
        """function old:long(a:long, s:string) %{ /* unmangled */
            if (THIS->a == 5) { CONTEXT->last_error = "five"; goto out; }
            THIS->__retvalue = THIS->a * 2 + strlen(THIS->l_s);
            out: ;
        %}
        probe begin { println(old(4, "abc")); try { old(5, "") } catch (m) { println(m) } }""",
        "11\nfive\n",
    ),
    "expressions": (
        """probe begin { x = %{ 40 + 2 %}; println(x, %{ /* string */ "text" %}, %{ /* pure */ sizeof(int) %} * 2) }""",
        "42text8\n",
    ),
    "file level": (
        """%{
        #define ANSWER 42
        static int twice(int n)
        {
            return 2 * n;
        }
        %}
        @define ANSWER %( %{ ANSWER %} %)
        function twice:long(n) %{ /* pure */ STAP_RETVALUE = twice(STAP_ARG_n); %}
        probe begin { println(@ANSWER, twice(@ANSWER), @const("ANSWER")) }""",
        "428442\n",
    ),
    "globals": (
        """global n, text = "a", a, b, seen
        function step() %{ /* pragma:read:n */ /* pragma:write:n */ /* pragma:read:text */ /* pragma:write:text */
            STAP_GLOBAL_SET_n(STAP_GLOBAL_GET_n() + 1);
            STAP_GLOBAL_SET_text(STAP_GLOBAL_GET_n() > 1 ? "many" : "one"); %}
        function bump(k) %{ /* pragma:read:a */ /* pragma:write:a */ /* pragma:read:b */ /* pragma:write:b */
            STAP_GLOBAL_SET_a(STAP_ARG_k, 1, STAP_GLOBAL_GET_a(STAP_ARG_k, 1) + 2);
            STAP_GLOBAL_SET_b("key", STAP_GLOBAL_GET_b("key")[0] ? "again" : "first"); %}
        probe begin {
            a[3, 1] = 10; b["other"] = ""; n = 0
            step(); println(n, text); step(); println(n, text)
            bump(3); bump(4); println(a[3, 1], a[4, 1], b["key"])
            seen = %{ /* pragma:read:n */ STAP_GLOBAL_GET_n() * 100 %}; println(seen)
        }""",
        "1one\n2many\n122again\n200\n",
    ),
    "what is pure and unused goes": (
        """function pure:long() %{ /* pure */ STAP_RETVALUE = 1; STAP_PRINTF("gone\\n"); %}
        function impure:long() %{ STAP_RETVALUE = 1; STAP_PRINTF("kept\\n"); %}
        probe begin { x = pure(); pure(); y = impure(); z = %{ /* pure */ 1 %} }""",
        "kept\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    script, wanted = CASES[name]
    assert run(script) == Ran(wanted)


def test_headers_are_asked_for_only_by_the_users_c() -> None:
    assert not compile_text("probe begin { println(pid(), execname()) }").needs_kernel_headers
    for text in ("%{ int x; %} probe begin { exit() }", "probe begin { println(%{ 1 %}) }"):
        assert compile_text(text).needs_kernel_headers
    assert compile_text("function f() %{ %} probe begin { f() }").needs_kernel_headers


@pytest.mark.parametrize(
    ("script", "slugs"),
    [
        ("function f() %{ /* pragma:read:x */ %} probe begin { f() }", ["unknown-global"]),
        ("probe begin { println(%{ /* pragma:read:x */ 1 %}) }", ["unknown-global"]),
        ("function f() %{ %} probe begin { println(1, x = f()) }", ["no-value"]),
    ],
)
def test_mistakes(script: str, slugs: list[str]) -> None:
    assert refusal(script) == slugs


def test_what_comments_promise() -> None:
    found = inspect(
        "/*pure*/ /* bound: 16 */ /* pragma:read:a *//* pragma:write:b */ STAP_RETVALUE = 1;"
    )
    assert (found.pure, found.bound, found.reads, found.writes) == (False, 16, ("a",), ("b",))
    assert (
        inspect("/* stable */").pure
        and inspect("/* guru */").guru
        and inspect("/* pure */ /* pragma:unwind */").unwinds
        and not inspect("/* pragma:read:unwind */").unwinds
        and inspect("/* string */ x").string
    )
    assert not inspect("string_length(x)").string and not inspect("impure").pure


def test_the_c_compiler_names_lines_of_the_script() -> None:
    script = """%{
    int first;
    int wrong = undeclared_1;
    %}
    function f:long() %{ /* pure */
        STAP_RETVALUE = 1;
        undeclared_2++;
    %}
    probe begin { println(f()); println(%{ sizeof(first) %}) }
    """
    with pytest.raises(AssertionError) as caught:
        run(script)
    told = str(caught.value)
    assert (
        "x.stp:3:17: error: ‘undeclared_1’" in told or "x.stp:3:17: error: 'undeclared_1'" in told
    )
    assert "x.stp:7:" in told and "undeclared_2" in told
