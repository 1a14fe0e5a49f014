# SPDX-License-Identifier: GPL-2.0-or-later
"""Formatted text means what it meant, is its own result, and looks as the examples of this tree do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.driver import tapset_index
from compiler.driver.script_text import meaning
from compiler.formatting.format import FormatError, format_script
from compiler.frontend.parser import CompileError, parse
from compiler.ir.syntax_printer import print_script
from tests import PROJECT
from tests.compiler.frontend.support import GURU
from tests.compiler.frontend.test_parser_fuzz import WORDS
from tests.language.fuzz.make import programs
from tests.language.fuzz.text import script

FOLDERS = ("compiler", "docs", "packaging", "tests")
SCRIPTS = sorted(p for name in FOLDERS for p in (PROJECT / name).rglob("*.stp*"))
PROBES = sorted((PROJECT / "packaging/probes.d").glob("*.stp"))
MACROS = tapset_index.macros(tapset_index.read(), GURU)
ARGS = ("1", "x")
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def tree(text: bytes) -> str:
    """The syntax tree as text, or that there is none."""
    try:
        found = parse(text, "x.stp", conditions=GURU, args=ARGS, library_macros=MACROS)
    except CompileError:
        return "none"
    return print_script(found)


def check(text: bytes) -> bytes | None:
    """The formatted text, or None for one that has no tokens or no matching brackets."""
    try:
        once = format_script(text, "x.stp")
    except CompileError:
        return None
    assert format_script(once, "x.stp") == once
    if meaning(text, ARGS) != text:  # a text with invalid tokens stands for itself
        assert meaning(once, ARGS) == meaning(text, ARGS)
    assert tree(once) == tree(text)
    return once


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_scripts_of_the_tree(path: Path) -> None:
    text = path.read_bytes()
    formatted = check(text)
    assert formatted is not None or path.is_relative_to(PROJECT / "tests/golden/syntax")


@pytest.mark.parametrize("path", PROBES, ids=lambda path: path.name)
def test_the_examples_are_formatted(path: Path) -> None:
    """They are the style: what people copy."""
    assert format_script(path.read_bytes(), path.name) == path.read_bytes()


CASES = {
    "blocks": (
        "probe  begin{a=1 b=2}\nprobe end{\n\n x=1\n\n\n y=2\n\n}probe never { }",
        "probe begin { a = 1 b = 2 }\nprobe end {\n\tx = 1\n\n\ty = 2\n}\nprobe never { }\n",
    ),
    "braces": (
        "probe a\n{\n if(x)\n {\n b()\n }\n else if(y)\n c()\n else\n d()\n}\n",
        "probe a {\n\tif (x) {\n\t\tb()\n\t} else if (y)\n\t\tc()\n\telse\n\t\td()\n}\n",
    ),
    "statements": (
        "probe a {\nx=1;y=2 z++\nif(x) next\nwhile(x) { y }\n}\n",
        "probe a {\n\tx = 1;\n\ty = 2\n\tz++\n\tif (x) next\n\twhile (x) { y }\n}\n",
    ),
    "nested": (
        "probe a {\nfor(;;)\nif(b)\nc\nelse\nd\ne\n}\n",
        "probe a {\n\tfor (;;)\n\t\tif (b)\n\t\t\tc\n\t\telse\n\t\t\td\n\te\n}\n",
    ),
    "operators": (
        "probe a { x=-a*- -b-!c.d[ 1,2 ]+f( g ) ? ++i : i-- }",
        "probe a { x = -a * - -b - !c . d[1, 2] + f(g) ? ++i : i-- }\n",
    ),
    "sorting": (
        "probe a { foreach([x-,y]in z  limit 5)delete z [x,y]  foreach(k in s@sum+) k }",
        "probe a { foreach ([x-, y] in z limit 5) delete z[x, y] foreach (k in s @sum+) k }\n",
    ),
    "points": (
        "probe a.function( \"b*\" ) . return?,\n\t{c,d*}.e !if(x) { }",
        'probe a.function("b*").return ?,\n      {c, d*}.e ! if (x) { }\n',
    ),
    "declarations": (
        "global a%[ 10 ],b=-1\nprivate  function f : long( x:string )\n{ return x }",
        "global a%[10], b = -1\nprivate function f:long (x:string) { return x }\n",
    ),
    "comments": (
        "#! first\nprobe a { // one\n# two\nx=1 // three\nlonger=2 /* four */\n// five\n}\n// six",
        "#! first\nprobe a {  // one\n\t# two\n\tx = 1       // three\n\tlonger = 2  /* four */\n\t// five\n}\n// six\n",
    ),
    "comments inside": (
        "probe a {\nif (x /* one */ ||\ny) // two\n  z(1, // three\n2)\n/* four\n   five */\n}",
        "probe a {\n\tif (x /* one */ ||\n\t    y)  // two\n\t\tz(1,  // three\n\t\t\t2)\n\t/* four\n\t   five */\n}\n",
    ),
    "kept": (
        "@define m( a ) %( @a+1 %)\nprobe a {\n  %( 1==1 %?\n    x=1\n  %)\n y=@m( 2 )\n}\nfunction f()%{ a=1; %}",
        "@define m( a ) %( @a+1 %)\nprobe a {\n\t%( 1==1 %?\n\t  x=1\n\t%)\n\ty = @m(2)\n}\nfunction f () %{ a=1; %}\n",
    ),
    "macros": (
        "probe a { @m( 1 ) @m(2)\n@n  @count(s) x }",
        "probe a {\n\t@m(1) @m(2)\n\t@n\n\t@count(s)\n\tx\n}\n",
    ),
    "conditional heads": (
        "%( 1 == 1 %? probe a { %: probe b { %)\nx=1\n}\n",
        "%( 1 == 1 %? probe a { %: probe b { %)\n\tx = 1\n}\n",
    ),
    "fields": ("probe a { $p->if->probe=@cast(x,\"t\")->for[1] }", 'probe a { $p->if->probe = @cast(x, "t")->for[1] }\n'),
    "ends of lines": (b"probe a\r\n{ x }\r\n".decode(), "probe a { x }\n"),
    "nothing": ("\n \n", ""),
    "strings": ('probe a { x="a"\n"b\\\n  c" }', 'probe a {\n\tx = "a"\n\t\t"b\\\n  c"\n}\n'),
    "arguments": ("probe a { x=$1+$2 }", "probe a { x =$1+$2 }\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_style(name: str) -> None:
    before, after = CASES[name]
    assert format_script(before, "x.stp").decode() == after
    assert name == "strings" or check(before.encode()) == after.encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("probe a {", "this '{' is not closed"),
        ("probe a { ) }", "this ')' closes nothing that is open here"),
        ("%( 1 == 1 %? a", "this '%(' is not closed"),
        ("%)", "this '%)' closes nothing"),
        ("probe a { `x` }", "unexpected character '`'"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        format_script(text, "x.stp")
    assert caught.value.diagnostics[0].message == message


def test_a_mistake_of_the_formatter_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.formatting.spacing.Roles.blank", lambda *_: False)
    with pytest.raises(FormatError, match=r"x\.stp cannot be formatted"):
        format_script("probe a { x = - -y }", "x.stp")


@quick
@given(st.data())
def test_programs_of_the_fuzzer(data: st.DataObject) -> None:
    program = data.draw(programs())
    text = script(program, brackets=data.draw(st.booleans()))
    assert check(text.encode()) is not None


@quick
@given(st.data())
def test_other_blanks_give_the_same_tree(data: st.DataObject) -> None:
    """Formatting undoes what somebody else's editor did to the margins and ends of lines."""
    path = data.draw(st.sampled_from(PROBES))
    text = path.read_bytes()
    margin = data.draw(st.sampled_from((b"", b"  ", b"        ", b"\t\t")))
    end = data.draw(st.sampled_from((b"\n", b" \n", b"\r\n")))
    changed = text.replace(b"\t", margin).replace(b"\n", end)
    assert format_script(changed, "x.stp") == text


@quick
@given(st.data())
def test_words(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from([*WORDS, "// c\n", "/* c */", "\n\n"]), max_size=40))
    blank = data.draw(st.sampled_from(("", " ")))
    check(("probe a {" + blank.join(words) + "}").encode())
    check(blank.join(words).encode())


@quick
@given(st.data())
def test_changed_scripts(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(PROBES)).read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 8))
        new = data.draw(st.sampled_from(WORDS).map(str.encode) | st.binary(max_size=3))
        text = text[:start] + new + text[end:]
    check(text)


def test_many_of_anything() -> None:
    for text in (
        "if (x) " * 1000 + "y",
        "{" * 1000 + "}" * 1000,
        "(" * 1000 + ")" * 1000,
        "%( 1 " * 1000 + "%) " * 1000,
    ):
        assert format_script("probe a { " + text + " }", "x.stp")
