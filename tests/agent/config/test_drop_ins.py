# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of the drop-ins, and which of the packages' hold."""

from __future__ import annotations

from pathlib import Path

from agent.config import drop_ins
from agent.config.yaml_tree import ConfigDiagnostic


def test_packages_come_first_and_a_file_of_their_name_replaces_theirs(tmp_path: Path) -> None:
    own, packaged = tmp_path / "etc/conf.d", tmp_path / "share/conf.d"
    names = {own: ("10.yaml", "vfs.yaml", ".x.yaml", "y.txt"), packaged: ("tcp.yaml", "vfs.yaml")}
    for folder, files in names.items():
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).touch()
    diagnostics: list[ConfigDiagnostic] = []
    main = tmp_path / "etc/stapwatch.yaml"
    found = drop_ins.files(main, diagnostics, packaged)
    assert found == [packaged / "tcp.yaml", own / "10.yaml", own / "vfs.yaml"]
    assert drop_ins.files(main, diagnostics) == [own / "10.yaml", own / "vfs.yaml"]
    assert diagnostics == []


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "conf.d").symlink_to("conf.d")
    diagnostics: list[ConfigDiagnostic] = []
    assert drop_ins.files(tmp_path / "stapwatch.yaml", diagnostics) == []
    assert [str(each) for each in diagnostics] == [
        f"config error: {tmp_path}/conf.d: cannot be read: Too many levels of symbolic links"
    ]
