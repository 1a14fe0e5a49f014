# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of --folded and --flame."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import main
from agent.session.compile_options import CompileOptions
from agent.session.options import RunOptions
from agent.session.stack_files import StackFileError, write
from tests.agent.session.test_stacks import snapshot

FOUND = snapshot(n=(("s",), {("0x10",): 2}))


def test_both_files(tmp_path: Path) -> None:
    lines, graph = tmp_path / "a.folded", tmp_path / "a.svg"
    options = RunOptions(CompileOptions(), file="/x/<s>.stp", folded=str(lines), flame=str(graph))
    assert write(FOUND, options) == 1
    assert lines.read_text() == "0x10 2\n"
    assert ">&lt;s&gt;.stp</text>" in graph.read_text()
    assert write(snapshot(), options) == 0
    assert lines.read_text() == ""


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    options = RunOptions(CompileOptions(), text="x", folded=str(tmp_path / "no/a"))
    with pytest.raises(StackFileError, match=r"cannot write .*/no/a: No such file"):
        write(FOUND, options)


def test_without_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["run", "-F", "--flame", "a.svg", "-e", "probe begin {}"])
    assert "--folded and --flame need the end of the run" in capsys.readouterr().err
