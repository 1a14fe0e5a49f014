# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch fmt` as a command: files in place, a check, a difference, and a pipe."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.cli import main

UGLY = b"probe  begin{exit()}"
GOOD = b"probe begin { exit() }\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    ugly, good = tmp_path / "ugly.stp", tmp_path / "good.stp"
    ugly.write_bytes(UGLY)
    good.write_bytes(GOOD)
    return ugly, good


def test_files_are_changed_in_place(files: tuple[Path, Path]) -> None:
    ugly, good = files
    ugly.chmod(0o750)
    link = ugly.with_name("link.stp")
    link.symlink_to(ugly)
    inode = good.stat().st_ino
    assert main.main(["fmt", str(link), str(good)]) == 0
    assert ugly.read_bytes() == GOOD
    assert ugly.stat().st_mode & 0o777 == 0o750
    assert link.is_symlink()
    assert good.stat().st_ino == inode  # it was not written
    assert sorted(p.name for p in ugly.parent.iterdir()) == ["good.stp", "link.stp", "ugly.stp"]


def test_check_names_files(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    ugly, good = files
    assert main.main(["fmt", "--check", str(good)]) == 0
    assert main.main(["fmt", "--check", str(good), str(ugly)]) == 1
    assert capsys.readouterr().out == f"{ugly}\n"
    assert ugly.read_bytes() == UGLY


def test_difference(files: tuple[Path, Path], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    ugly, good = files
    assert main.main(["fmt", "--diff", str(good)]) == 0
    assert capsysbinary.readouterr().out == b""
    assert main.main(["fmt", "--diff", str(ugly)]) == 0
    assert main.main(["fmt", "--diff", "--check", str(ugly)]) == 1
    head = f"--- {ugly}\n+++ {ugly} (formatted)\n@@ -1 +1 @@\n".encode()
    assert capsysbinary.readouterr().out == 2 * (head + b"-" + UGLY + b"\n+" + GOOD)
    assert ugly.read_bytes() == UGLY


@pytest.mark.parametrize("words", [[], ["-"]])
def test_a_pipe(
    words: list[str],
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(UGLY)))
    assert main.main(["fmt", *words]) == 0
    assert capsysbinary.readouterr().out == GOOD


def test_what_cannot_be_formatted(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The other files are formatted all the same."""
    ugly, good = files
    good.write_bytes(b"probe begin {\n")
    assert main.main(["fmt", str(good), str(good.with_name("none.stp")), str(ugly)]) == 1
    told = capsys.readouterr().err
    assert "error[syntax]: this '{' is not closed" in told
    assert f"{good}:1:13" in told
    assert "none.stp: no such file or directory" in told
    assert ugly.read_bytes() == GOOD
