# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are replaced as a whole: nothing else is left in their folder, whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.support import whole_file


def test_a_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for data in (b"{}", b"[1]"):
        whole_file.write(file, data)
        assert file.read_bytes() == data
    assert list(tmp_path.iterdir()) == [file]


def test_a_reader_keeps_the_one_that_it_has_opened(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    whole_file.write(file, b"before")
    with file.open("rb") as opened:
        whole_file.write(file, b"after")
        assert opened.read() == b"before"


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x").touch()
    with pytest.raises(OSError):
        whole_file.write(tmp_path / "folder", b"no file replaces a folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_persons_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "x.stp"
    whole_file.rewrite(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o7777) == (b"new", 0o644)
    file.chmod(0o750)
    whole_file.rewrite(file, b"newer")
    assert (file.read_bytes(), file.stat().st_mode & 0o7777) == (b"newer", 0o750)
    with pytest.raises(OSError):
        whole_file.rewrite(tmp_path / "none/x", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        whole_file.rewrite(tmp_path / "folder", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x.stp"]
