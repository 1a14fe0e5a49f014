# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from compiler.frontend.parser import CompileError, parse, parse_macros
from compiler.frontend.preprocessor_conditions import compare_versions
from compiler.ir.syntax_printer import print_script
from runtime.support.record import replace
from tests.compiler.frontend.support import GURU, KERNEL, faults, places, shape, slugs, tree


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("1 == 1", True),
        ("0x10 > 017", True),
        ('"b" > "a"', True),
        ('"10" > "9"', False),
        ('"foo" == "f*"', False),
        ('kernel_v == "6.1.0"', True),
        ('kernel_v == "6.*" && kernel_v != "5.*"', True),
        ('kernel_v >= "6.1" && kernel_v < "6.10"', True),
        ('kernel_vr == "*-amd64"', True),
        ('kernel_vr > "6.1.0"', True),
        ('arch == "x86*"', True),
        ('arch != "x86_64"', False),
        ('runtime == "kernel"', True),
        ('systemtap_v >= "4.10"', True),
        ('systemtap_privilege == "stapdev"', True),
        ('systemtap_privilege == "stap*"', False),
        ("guru_mode == 0", True),
        ("guru_mode != 0", False),
        ('CONFIG_SMP == "[ym]"', True),
        ('CONFIG_NONE == ""', True),
        ('CONFIG_NONE != "y"', True),
        ("CONFIG_HZ >= 250 && CONFIG_HZ < 1000", True),
        ("CONFIG_START == 4096", True),
        ("CONFIG_NONE == 0", True),
        ("CONFIG_NONE != 0", False),
        ("CONFIG_NONE < 4", True),
        ("CONFIG_START > CONFIG_HZ", True),
        ("CONFIG_SMP == CONFIG_HZ", False),
        ("CONFIG_NONE == CONFIG_NOTHING", True),
        ('systemtap_v == "5.*"', True),
        ('systemtap_v != "4.*" && systemtap_v != "5.[0-1]"', True),
        ("1 == 2 && 1 == 1 || 1 == 1", True),
        ("1 == 1 || 1 == 1 && 1 == 2", True),
        ("1 == 2 || 1 == 2", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    conditions = replace(
        KERNEL, config={"CONFIG_SMP": "y", "CONFIG_HZ": "250", "CONFIG_START": "0x1000"}
    )
    text = f"%( {condition} %? probe yes {{}} %: probe no {{}} %)"
    script = parse(text, "x", conditions=conditions)
    assert print_script(script) == ("probe yes {}\n" if holds else "probe no {}\n")


@pytest.mark.parametrize(
    ("older", "newer"),
    [("4.8", "4.10"), ("6.1", "6.1.0"), ("6.1.0-9", "6.1.0-10"), ("5.9", "6"), ("", "1")],
)
def test_versions_compare_by_number(older: str, newer: str) -> None:
    assert compare_versions(older, newer) < 0 < compare_versions(newer, older)
    assert compare_versions(older, older) == 0


def test_a_skipped_branch_needs_only_tokens() -> None:
    text = "%( 1 == 2 %? 08 ` @what %( @a == %? @define x %( 1 %) %: 2 %) $7 %: %( 1==1 %? 9 %) %)"
    assert shape(text) == "9"


def test_branches_may_hold_any_part_of_a_script() -> None:
    script = tree("probe a %( 1 == 1 %? , b { %: { x %) y }")
    assert print_script(script) == "probe a, b {\n  y;\n}\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("@define m %( 1 + 2 %) @m * 3", "(1 + (2 * 3))"),
        ("@define m(a, b) %( @b - @a %) @m(1, f(2, 3))", "(f(2, 3) - 1)"),
        ("@define m(a) %( @a %) @m([x, y] in z)", "([x, y] in z)"),
        ("@define m(a) %( @a 4 %) @m()", "4"),
        ("@define m(a) %( f(@a) %) @m(@m(@m(x)))", "f(f(f(x)))"),
        ("@define n %( @m %) @define m %( 5 %) @n", "5"),
        ("@define m(x) %( %( @x == 1 %? 3 %: 4 %) %) @m(1) + @m(2)", "(3 + 4)"),
        ("@define m(x) %( @x @x %) @m(\"a\")", '"aa"'),
        ("@define count(x) %( 7 %) @count(s)", "7"),
        ("@define m %( @1 %) @m", '"arg"'),
        ("%( 1 == 2 %? @define m %( 1 %) %: @define m %( 2 %) %) @m", "2"),
        # a parameter belongs to its own body only
        ("@define x %( 9 %) @define m(a, x) %( @a - @x %) @define n(y) %( @m(@y, @x) %) @n(1)",
         "(1 - 9)"),
    ],
)  # fmt: skip
def test_macros(text: str, result: str) -> None:
    assert shape(text, "arg") == result


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("@define m %( @m %) @m", "macro-recursion"),
        ("@define m(a) %( @a(@a) %) @m(@m)", "expansion-too-large"),
        ("@define m(a) %( @a @m(@a) %) @m(1)", "macro-recursion"),
        ("@define a %( @b @b %) @define b %( @a %) @a", "macro-recursion"),
        ("@m @define m %( 1 %)", "unknown-operator"),
        ("@define m(a) %( @b %) @m(1)", "unknown-operator"),
        ("@define m(a) %( @a %) @m(1, 2)", "macro-arguments"),
        ("@define m(a) %( @a %) @m({1, 2})", "macro-arguments"),
        ("@define m(a) %( @a %) @m", "macro-arguments"),
        ("@define long %( 1 %)", "bad-macro"),
    ],
)
def test_bad_macros(text: str, slug: str) -> None:
    assert slug in slugs(f"probe begin {{ a = ({text}) }}")


def test_doubling_macros_end() -> None:
    levels = "".join(f"@define m{n} %( @m{n + 1} @m{n + 1} %)\n" for n in range(40))
    assert slugs(levels + "@define m40 %( x %)\nprobe begin { @m0 }") == ["expansion-too-large"]


def test_a_mistake_in_a_macro_shows_the_macro_and_its_uses() -> None:
    [fault] = faults("@define m(a) %( @a + * %)\n@define n %( @m(1) %)\nprobe begin { x = @n }")
    assert fault.span.location[1:] == (1, 22)
    use = fault.span.source.expansion
    assert use is not None
    assert use.location[1:] == (2, 14)
    assert use.source.expansion is not None
    assert use.source.expansion.location[1:] == (3, 19)


def test_a_mistake_in_an_argument_is_where_the_argument_stands() -> None:
    found = faults("@define m(a) %( f(@a) %)\nprobe begin { x = @m(1 2) }")
    assert places(found) == [(2, 24)]


def test_library_macros() -> None:
    text = '@define low %( 1 %)\n%( arch == "arm" %? @define high %( 0 %) %: @define high %( @low %) %)'
    library = parse_macros(text, "lib.stpm", conditions=KERNEL)
    script = parse("probe a { x = @high }", "x", conditions=KERNEL, library_macros=library)
    assert print_script(script) == "probe a {\n  x = 1;\n}\n"
    hiding = parse(
        "@define high %( 7 %) probe a { x = @high }",
        "x",
        conditions=KERNEL,
        library_macros=library,
    )
    assert "x = 7;" in print_script(hiding)


def test_a_macro_file_holds_macros_only() -> None:
    with pytest.raises(CompileError, match="holds only macros"):
        parse_macros("@define a %( 1 %) probe b {}", "lib.stpm", conditions=KERNEL)


def test_library_scripts_may_embed_c_without_guru_mode() -> None:
    text = "function f:long() %{ STAP_RETURN(1); %}"
    assert slugs(text) == ["needs-guru-mode"]
    assert parse(text, "x", conditions=KERNEL, privileged=True).items
    assert parse(text, "x", conditions=GURU).items
