# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions: accepted patterns, and the matches of the DFA and its C, compared with Python's `re`.

Python prefers alternatives in order where POSIX wants the longest match; so Python is asked for each position
and length separately, from the left and the longest first, by a pattern that matches all of the string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compiler.regex import parser
from compiler.regex.dfa import (
    ACCEPTED,
    DEAD,
    HERE,
    MAX_CELLS,
    UNSET,
    Action,
    Dfa,
    compile,
)
from compiler.regex.nfa import TooLargeError
from compiler.regex.parser import PatternError
from tests.language.userspace import HostedRuntime


def python(node: parser.Node) -> str:
    """The same expression for Python."""
    match node:
        case parser.Bytes(members):
            return (
                "[" + "".join(f"\\x{b:02x}" for b in sorted(members)) + "]" if members else "(?!)"
            )
        case parser.Begin():
            return r"\A"
        case parser.End():
            return r"\Z"
        case parser.Cat(parts):
            return "".join(python(part) for part in parts)
        case parser.Alt(choices):
            return "(?:" + "|".join(python(choice) for choice in choices) + ")"
        case parser.Repeat(inner, low, high):
            return f"(?:{python(inner)}){{{low},{'' if high is None else high}}}"
        case parser.Group(_, inner):
            return f"({python(inner)})"


def oracle(text: str, data: bytes) -> list[tuple[int, int]] | None:
    """The leftmost longest match and its groups, by Python."""
    form = python(parser.parse(text).root).encode("latin-1")
    for start in range(len(data) + 1):
        for end in range(len(data), start - 1, -1):
            whole = rb"(?s:\A.{%d})(%s)(?s:.{%d}\Z)" % (start, form, len(data) - end)
            if found := re.compile(whole).match(data):
                return [found.span(n) for n in range(1, found.re.groups + 1)]
    return None


def search(dfa: Dfa, data: bytes) -> tuple[int, ...] | None:
    """Runs a DFA as the generated C does; `data` holds no NUL.

    The tags of the match, two a group, -1 for a group that is not part of it; () without captures;
    None for no match.
    """
    state = dfa.start
    registers = [-1] * dfa.registers
    tags: tuple[int, ...] | None = None

    def act(action: Action, position: int) -> None:
        nonlocal tags

        def value(source: int) -> int:
            return position if source == HERE else -1 if source == UNSET else registers[source]

        if action.tags:
            tags = tuple(value(source) for source in action.tags)
        for to, new in [(move.to, value(move.source)) for move in action.moves]:
            registers[to] = new

    act(dfa.initial_action, 0)
    final = (DEAD,) if dfa.captures else (DEAD, ACCEPTED)
    at = 0
    while state not in final:
        byte = data[at] if at < len(data) else 0
        kind = dfa.classes[byte]
        act(dfa.actions[state][kind], at + (byte != 0))
        state = dfa.transitions[state][kind]
        at += 1
    if dfa.captures:
        return tags
    return () if state == ACCEPTED else None


def ours(text: str, data: bytes) -> list[tuple[int, int]] | None:
    tags = search(compile(text, True), data)
    return None if tags is None else list(zip(tags[::2], tags[1::2], strict=True))


# -- patterns -----------------------------------------------------------------------------------

ATOMS = [
    "a",
    "b",
    "c",
    ".",
    "[ab]",
    "[^a]",
    "[b-d]",
    "[[:digit:]]",
    "1",
    "\\.",
    "\\w",
    "[]a]",
    "[^]a]",
]


def joined(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(children, min_size=1, max_size=3).map("".join),
        st.lists(children, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
        children.map(lambda part: f"(?:{part})"),
        st.tuples(children, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,3}", "{2,}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    )


patterns = st.tuples(
    st.sampled_from(["", "", "^"]),
    st.recursive(st.sampled_from([*ATOMS, *ATOMS, "(^|b)", "(a|$)"]), joined, max_leaves=8),
    st.sampled_from(["", "", "$"]),
).map("".join)
strings = st.binary(max_size=8).map(lambda raw: bytes(b"abcd1.\xe9\n"[byte % 8] for byte in raw))


@settings(max_examples=400, deadline=None)
@given(patterns, st.lists(strings, min_size=1, max_size=6))
def test_spans_as_python_finds_them(text: str, subjects: list[bytes]) -> None:
    for data in subjects:
        wanted = oracle(text, data)
        found = ours(text, data)
        assert (found and found[0]) == (wanted and wanted[0]), data
        assert (search(compile(text, False), data) is not None) == (wanted is not None), data


# Like our DFA, Python keeps a group that does not take part in a loop's last iteration. It differs from all
# other implementations if a loop's body can be empty.
plain = st.recursive(
    st.sampled_from(ATOMS),
    lambda children: st.one_of(
        st.lists(children, min_size=1, max_size=3).map("".join),
        st.lists(children, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
        children.map(lambda part: f"({part})"),
    ),
    max_leaves=6,
)
loops = st.lists(
    st.tuples(plain, st.sampled_from(["", "*", "+", "?", "{1,2}"])).map(
        lambda pair: f"({pair[0]}){pair[1]}"
    ),
    min_size=1,
    max_size=3,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(loops, st.lists(strings, min_size=1, max_size=6))
def test_groups_as_python_finds_them(text: str, subjects: list[bytes]) -> None:
    try:
        compile(text, True)
    except TooLargeError:
        assume(False)
    for data in subjects:
        assert ours(text, data) == oracle(text, data), data


@pytest.mark.parametrize(
    ("text", "data", "wanted"),
    [
        ("str(ing)", b"an example string", [(11, 17), (14, 17)]),
        ("a|ab|abc", b"xabcd", [(1, 4)]),
        ("(a|ab)(c|bcd)", b"abcd", [(0, 4), (0, 1), (1, 4)]),
        ("abcd|bc", b"abcx", [(1, 3)]),
        ("a|(b)", b"b", [(0, 1), (0, 1)]),
        ("a|(b)", b"a", [(0, 1), (-1, -1)]),
        ("x*", b"aaa", [(0, 0)]),
        ("^$", b"", [(0, 0)]),
        ("a$|^b", b"ba", [(0, 1)]),
        ("(^a)+", b"aa", [(0, 1), (0, 1)]),
        ("[[.-.]-]+", b"a--", [(1, 3)]),
        ("[[=a=]c]", b"bc", [(1, 2)]),
        ("[\\]]", b"\\]", [(0, 2)]),
        (")}]", b"x)}]", [(1, 4)]),
        ("a||b", b"b", [(0, 1)]),
        ("\\(\\)\\*", b"f()*", [(1, 4)]),
        ("\\s\\S\\W", b"a b.", [(1, 4)]),
    ],
)
def test_by_hand(text: str, data: bytes, wanted: list[tuple[int, int]]) -> None:
    assert ours(text, data) == wanted


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("*a", (0, 1), "'*' has nothing to repeat"),
        ("a|+", (2, 3), "'+' has nothing to repeat"),
        ("(?a)", (1, 2), "'?' has nothing to repeat"),
        ("^*", (1, 2), "an anchor takes no text"),
        ("x(a", (1, 2), "this '(' is not closed"),
        ("x[a", (1, 2), "this '[' is not closed"),
        ("[]", (0, 1), "this '[' is not closed"),
        ("a{2", (1, 3), "not closed"),
        ("a{,3}", (1, 2), "needs a number"),
        ("a{x}", (1, 2), "needs a number"),
        ("a{3,2}", (1, 6), "reversed"),
        ("a{1001}", (2, 6), "too many"),
        ("[z-a]", (1, 4), "reversed"),
        ("[[:foo:]]", (1, 8), "no character class 'foo'"),
        ("[[:alpha:", (1, 3), "needs its ':]'"),
        ("a\\", (1, 2), "ends with a backslash"),
        ("(a)\\1", (3, 5), "back references"),
        ("(" * 200, (100, 101), "nested too deep"),
    ],
)
def test_refused(text: str, place: tuple[int, int], part: str) -> None:
    with pytest.raises(PatternError, match=re.escape(part)) as caught:
        parser.parse(text)
    assert (caught.value.start, caught.value.end) == place


@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize("text", ["(a|b)*a(a|b){15}", "((a{100}){100}){100}"])
def test_too_large(text: str, captures: bool) -> None:
    with pytest.raises(TooLargeError):
        compile(text, captures)


@given(st.text(alphabet="ab()[]{}*+?|^$\\.,-:=12", max_size=16))
def test_any_text_compiles_or_tells_where_not(text: str) -> None:
    try:
        for captures in (False, True):
            dfa = compile(text, captures)
            assert len(dfa.transitions) * dfa.width <= MAX_CELLS + 2 * dfa.width
            search(dfa, b"ab1")
    except PatternError as error:
        assert 0 <= error.start < error.end <= len(text)
    except TooLargeError:
        pass


# -- the C --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hosted() -> Iterator[HostedRuntime]:
    with HostedRuntime.open() as opened:
        yield opened


def literal(text: str) -> str:
    return '"' + "".join(f"\\{ord(ch):03o}" for ch in text) + '"'


@settings(max_examples=4, deadline=None)
@given(st.data())
def test_generated_c_finds_the_same(hosted: HostedRuntime, data: st.DataObject) -> None:
    """Many patterns in one script, with captures and without, each on several strings."""
    cases = data.draw(
        st.lists(
            st.tuples(patterns, st.lists(strings, min_size=1, max_size=3)), min_size=20, max_size=30
        )
    )
    for captures in (False, True):
        lines, wanted = [], []
        for text, subjects in cases:
            for subject in subjects:
                shown = literal(subject.decode("latin-1"))
                if not captures:
                    lines.append(f"println({shown} =~ {literal(text)}, {shown} !~ {literal(text)})")
                    hit = search(compile(text, False), subject) is not None
                    wanted.append(f"{int(hit)}{int(not hit)}\n")
                    continue
                lines.append(
                    f"if ({shown} =~ {literal(text)}) for (i = 0; i < ngroups(); i++) "
                    'printf("%d:%s|", i, matched(i)) else println("no")'
                )
                spans = ours(text, subject)
                if spans is None:
                    wanted.append("no\n")
                else:
                    parts = [subject[a:b] if a >= 0 else b"" for a, b in spans]
                    wanted.append(
                        "".join(
                            f"{n}:{part.decode(errors='surrogateescape')}|"
                            for n, part in enumerate(parts)
                        )
                    )
        ran = hosted.run_script("probe begin { " + "\n".join(lines) + " }")
        assert ran.fault == ran.diagnostics == ""
        assert (ran.output, ran.errors) == ("".join(wanted), ())
