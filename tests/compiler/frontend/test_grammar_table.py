# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.frontend import grammar_table
from compiler.frontend.actions import Actions
from compiler.ir.diagnostics import Diagnostics
from tests import PROJECT


def test_a_stored_table_is_the_table(tmp_path: Path) -> None:
    path = tmp_path / "grammar.bin"
    built = grammar_table.write(path)
    assert grammar_table.read(path) == built
    assert [entry.name for entry in tmp_path.iterdir()] == ["grammar.bin"]


def test_each_process_makes_the_same_file(tmp_path: Path) -> None:
    """lark numbers its states by the hashes of texts, and a package must be reproducible."""
    code = "import sys, pathlib as p; from compiler.frontend.grammar_table import write as w; w(p.Path(sys.argv[1]))"
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / seed], check=True, env=env, cwd=PROJECT
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_table_of_another_grammar_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "grammar.bin"
    grammar_table.write(path)
    assert grammar_table.read(path, "0" * 64) is None
    stored = json.loads(path.read_bytes())
    assert grammar_table.read(path, stored["grammar"]) is not None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\x80\x04.", b'{"format": 1}'])
def test_a_broken_table_is_not_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "grammar.bin"
    path.write_bytes(content)
    assert grammar_table.read(path) is None
    assert grammar_table.read(tmp_path / "absent") is None


def test_every_action_of_the_grammar_has_its_method() -> None:
    actions = Actions(Diagnostics(), guru=False)
    for rule in grammar_table.load().rules:
        assert rule.action is None or callable(getattr(actions, rule.action, None)), rule


def test_parsing_with_a_stored_table_does_not_load_lark(tmp_path: Path) -> None:
    path = tmp_path / "grammar.bin"
    grammar_table.write(path)
    program = (
        "import sys; from pathlib import Path; from compiler.frontend import grammar_table, parser\n"
        f"grammar_table.TABLE = Path({str(path)!r})\n"
        "conditions = parser.Conditions(kernel_vr='6.1', arch='x86_64')\n"
        "print(len(parser.parse('probe begin {}', 'x', conditions=conditions).items))\n"
        "print('lark' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["1", "False"]
