# SPDX-License-Identifier: GPL-2.0-or-later
"""A script may use any name: those of the generated code, of its headers, and those that differ by a suffix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.codegen.c_writer import Names
from compiler.codegen.data_layout import labels
from compiler.frontend.lexer import KEYWORDS
from tests import PROJECT
from tests.language.userspace import HostedRuntime, Script

SOURCES = (PROJECT / "tests/golden/codegen", PROJECT / "runtime/kernel/include")
SUFFIXES = ("", "_", "_lock", "_dropped", "_sequence", "_values", "_given", "1", "_0")
DERIVED = [f"{stem}{suffix}" for stem in ("x", "s", "reads", "add_x") for suffix in SUFFIXES]


def words() -> list[str]:
    """The identifiers of generated code and of the runtime's headers."""
    found: set[str] = {"linux", "unix", *DERIVED}
    for path in sorted(path for folder in SOURCES for path in folder.rglob("*.[ch]")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", "", path.read_text(), flags=re.DOTALL)
        found |= set(re.findall(r"\b[A-Za-z_]\w*\b", text))
    return sorted(found - {*KEYWORDS, "NULL"})  # NULL is the library's, as in SystemTap


def test_the_words_are_those_of_the_code() -> None:
    assert {"sw_prepare", "area", "reads_lock", "READ_ONCE", "inline"} <= set(words())


@pytest.mark.parametrize("crowded", [False, True])
def test_each_name_has_its_own_identifier(crowded: bool) -> None:
    names = Names(crowded)
    assert len({names(word) for word in words()}) == len(words())


def scripts() -> dict[str, str]:
    """One for each use of names; `println` adds something for each word."""
    every = {word: n for n, word in enumerate(words())}
    few = {word: n for word, n in every.items() if word in DERIVED}

    def script(item: str, set_: str, get: str, numbers: dict[str, int] = every) -> str:
        def each(form: str) -> str:
            return "\n".join(form.format(word=word, n=n) for word, n in numbers.items())

        added = each("the_sum += " + get)
        return f"{each(item)}\nprobe begin {{ {each(set_)} }}\nprobe end {{ {added}\nprintln(the_sum) }}\n"

    return {
        "globals": script("global {word}", "{word} += {n}", "{word}"),
        "arrays": script("global {word}[2]", '{word}["k"] = {n}', '{word}["k"]', few),
        "statistics": script("global {word}", "{word} <<< {n}", "@sum({word})", few),
        "functions": script("function {word}({word}) {{ return {word} }}", "", "{word}({n})"),
        "strings": script(
            'function f_{n}(x) {{ {word} = x . "" return strlen({word} . {word}) }}',
            "",
            'f_{n}("xx")',
        ),
    }


def test_any_name_can_be_a_scripts(tmp_path: Path) -> None:
    """Their values add up, so that no two are one."""
    made = scripts()
    found = words()
    total, few = sum(range(len(found))), sum(found.index(word) for word in DERIVED)
    wanted = {"strings": 4 * len(found), "arrays": few, "statistics": few}
    limits = {"MAXACTION": "1000000", "MAXERRORS": "0"}
    with HostedRuntime.open() as hosted:
        outcomes = hosted.run([Script(name, text, defines=limits) for name, text in made.items()])
    for name, outcome in zip(made, outcomes, strict=True):
        got = outcome.fault or outcome.diagnostics or outcome.output
        assert got == f"{wanted.get(name, total)}\n", f"{name}: {got[:2000]}"


def test_a_keys_label_is_its_own() -> None:
    assert labels(["pid", "pid", "cpu", "pid_2"]) == ["pid", "pid_3", "cpu", "pid_2"]
