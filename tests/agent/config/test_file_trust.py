# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files the agent reads as root: real files with owners, modes and links of all kinds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config.file_trust import folder_refusal, owners, refusal

OTHER = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
USERS = frozenset({0, os.geteuid()})


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "etc/probes.d/vfs.stp"
    path.parent.mkdir(parents=True)
    path.write_text("probe begin {}")
    path.chmod(0o644)
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o755)
    return path


def test_a_usual_file(script: Path) -> None:
    assert owners() == USERS
    assert refusal(script) == ""
    assert refusal(script.parent, is_searched=True) == ""
    assert refusal(Path("/etc/passwd")) == refusal(Path("/bin/sh")) == ""
    script.chmod(0o600)
    assert refusal(script) == ""


@pytest.mark.parametrize(
    ("mode", "who", "change"),
    [
        (0o664, "its group", "g-w"),
        (0o646, "everybody", "o-w"),
        (0o666, "its group and everybody", "g-w,o-w"),
    ],
)
def test_files_that_others_may_write(script: Path, mode: int, who: str, change: str) -> None:
    script.chmod(mode)
    assert refusal(script) == f"{script} may be written by {who}; chmod {change} {script}"
    os.system(refusal(script).partition("; ")[2])
    assert refusal(script) == "", "the command that it names is the right one"


def test_folders_that_others_may_write(script: Path) -> None:
    folder = script.parent.parent
    folder.chmod(0o777)
    wanted = f"{folder} may be written by its group and everybody; chmod g-w,o-w {folder}"
    assert refusal(script) == wanted
    assert refusal(script.parent / "not/there.stp") == wanted, "somebody could make it"
    folder.chmod(0o1777)  # as /tmp: what is ours stays ours
    assert refusal(script) == ""
    assert refusal(folder, is_searched=True) == wanted, "but others can add files"


@as_root
def test_owners(script: Path) -> None:
    os.chown(script, OTHER, -1)
    assert refusal(script) == f"{script} belongs to nobody, not to root; chown root {script}"
    os.system(refusal(script).partition("; ")[2])
    assert refusal(script) == ""
    os.chown(script.parent, OTHER, -1)
    assert refusal(script).startswith(f"{script.parent} belongs to nobody, not to root; chown ")
    assert refusal(script, frozenset({0, OTHER})) == ""


def test_names_are_quoted(script: Path) -> None:
    odd = script.with_name("it's $(odd).stp")
    script.rename(odd)
    odd.chmod(0o666)
    os.system(refusal(odd).partition("; ")[2])
    assert refusal(odd) == ""


def test_links_are_followed_step_by_step(script: Path, tmp_path: Path) -> None:
    """Each link's own folder counts, and the folders of what it leads to."""
    away = tmp_path / "away"
    away.mkdir()
    target = away / "real.stp"
    target.write_text("x")
    link = script.with_name("link.stp")
    link.symlink_to("../../away/middle.stp")
    (away / "middle.stp").symlink_to(target)
    assert refusal(link) == ""
    away.chmod(0o777)
    assert refusal(link).startswith(f"{away} may be written by ")
    away.chmod(0o755)
    target.chmod(0o666)
    assert (
        refusal(link)
        == f"{target} may be written by its group and everybody; chmod g-w,o-w {target}"
    )
    target.unlink()
    assert refusal(link) == "", "what is not there cannot be read either"
    target.symlink_to(link)
    assert refusal(link) == f"{link} cannot be checked: too many levels of symbolic links"
    folder = tmp_path / "folder"
    folder.symlink_to(script.parent)
    assert refusal(folder / "vfs.stp") == ""
    script.parent.chmod(0o775)
    assert refusal(folder / "vfs.stp").startswith(f"{script.parent} may be written by its group;")


@as_root
def test_links_of_others_in_a_sticky_folder(script: Path, tmp_path: Path) -> None:
    """Their owner may let them lead elsewhere at any time."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "x.stp"
    link.symlink_to(script)
    assert refusal(link) == ""
    os.chown(link, OTHER, -1, follow_symlinks=False)
    assert refusal(link) == f"{link} belongs to nobody, not to root; chown -h root {link}"
    os.system(refusal(link).partition("; ")[2])
    assert refusal(link) == ""


def test_whole_folders(script: Path) -> None:
    top = script.parent.parent

    def refused(change: Callable[[], None]) -> str:
        change()
        return folder_refusal(top, (".stp", ".stpm"))

    assert refused(lambda: None) == ""
    (top / "notes.txt").touch()
    assert refused(lambda: (top / "notes.txt").chmod(0o666)) == "", "nobody reads it"
    assert str(script) in refused(lambda: script.chmod(0o666))
    assert refused(lambda: script.chmod(0o644)) == ""
    assert str(script.parent) in refused(lambda: script.parent.chmod(0o1777))
