# SPDX-License-Identifier: GPL-2.0-or-later
"""Vim takes every piece of every script of the tree for what the lexer takes it for."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from compiler.frontend.lexer import KEYWORDS
from editors import __main__ as command
from editors import vim
from editors.words import ROLES
from tests.manual.tokens import Kind, scripts, wanted

pytestmark = pytest.mark.host

# A kind -> further groups that are part of it.
PARTS = {
    Kind.STRING: ("escape", "format"),
    Kind.COMMENT: ("todo",),
    Kind.AT: ("define", "macro"),
}


def groups_of(files: list[Path], folder: Path) -> dict[Path, tuple[str, list[str]]]:
    """The file type and the group of each byte of a file; "" for none."""
    assert command.main([str(folder / "editors")]) == 0
    out = folder / "out"
    out.mkdir()
    own = {"SYNTAX": f"{folder}/editors/vim", "FILES": "\n".join(map(str, files)), "OUT": str(out)}
    script = Path(__file__).with_name("groups.vim")
    words = ["vim", "-es", "-u", "NONE", "-N", "-n", "-i", "NONE", "-S", str(script)]
    done = subprocess.run(
        words, env={**os.environ, **own}, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    found = {}
    for file in files:
        first, *lines = (out / str(file).replace("/", "%")).read_text().splitlines()
        found[file] = first, [group for line in lines for group in [*expanded(line), ""]]
    return found


def expanded(line: str) -> list[str]:
    """`stapwatchString:2 :1` as one group for each byte."""
    found: list[str] = []
    for run in line.split(" "):
        group, _, count = run.rpartition(":")
        found += [group] * int(count)
    return found


def test_every_piece_of_every_script(tmp_path: Path) -> None:
    files = scripts()
    assert len(files) > 90
    seen: Counter[str] = Counter()
    for file, (first, groups) in groups_of(files, tmp_path).items():
        assert first == "stapwatch // %s", file
        text = file.read_bytes().decode("latin-1")  # columns are bytes
        for piece in wanted(text):
            names = {piece.kind, *PARTS.get(piece.kind, ())}  # type: ignore[call-overload]
            known = {vim.group(name) for name in names} if piece.kind != Kind.PLAIN else PLAIN
            found = {groups[at] for at in piece.columns}
            assert found <= known, f"{file}: {piece}: {found}"
            seen[piece.kind] += 1
    assert set(seen) == {*Kind, *ROLES}


PLAIN = {"stapwatchPart", ""}


def test_a_script_without_an_ending(tmp_path: Path) -> None:
    script = tmp_path / "top"
    script.write_text("#!/usr/bin/env -S stapwatch run\nprobe begin { exit() }\n")
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\nprobe begin\n")
    found = groups_of([script, other], tmp_path)
    assert found[script][0].startswith("stapwatch ")
    assert not found[other][0].startswith("stapwatch ")


def test_embedded_c_is_c(tmp_path: Path) -> None:
    script = tmp_path / "c.stp"
    script.write_text("function f() %{ return 1; /* c */ %}\nprobe begin { f() }\n")
    _, groups = groups_of([script], tmp_path)[script]
    text = script.read_text()
    assert groups[text.index("return")] == "cStatement"
    assert groups[text.index("/*")] == "cCommentStart"
    assert groups[text.index("%{")] == "stapwatchBracket"
    assert groups[text.index("probe")] == "stapwatchDeclaration"


def test_every_keyword_has_a_role() -> None:
    roles = [word for words in ROLES.values() for word in words]
    assert sorted(roles) == sorted(KEYWORDS)
