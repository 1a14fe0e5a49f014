# SPDX-License-Identifier: GPL-2.0-or-later
"""The check of commit messages, on repositories created for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from check_commits import FIRST, main, problem

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_NAME": "a" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
}


def git(folder: Path, *words: str) -> None:
    command = ["git", "-C", str(folder), *words]
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)


def commit(folder: Path, *texts: str) -> None:
    for text in texts:
        git(folder, "commit", "--allow-empty", "--cleanup=verbatim", "-m", text)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with commits before the rule, and the first that follows it."""
    for name in set(os.environ) - set(ENVIRONMENT):
        monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "Before the rule", f"Quotes a commit\n\n{FIRST}", FIRST)
    return folder


def found(folder: Path, capsys: pytest.CaptureFixture[str], *ranges: str) -> Sequence[str]:
    """The lines that are reported; the exit status must agree."""
    status = main(ranges, folder)
    lines = capsys.readouterr().out.splitlines()
    assert status == (1 if lines else 0)
    return lines


@pytest.mark.parametrize(
    "text",
    [
        "agent: say why",
        "agent: say why\n",
        "Makefile: say why",
        "agent/daemon, compiler: names as in README.md\n\nBecause.\n",
        f"tests: {'x' * 65}",
        f"tests: {'ü' * 65}",
    ],
)
def test_good_messages(text: str) -> None:
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Say why", "does not begin with an area"),
        ("agent:say why", "does not begin with an area"),
        ("agent: ", "does not begin with an area"),
        ("two words: say why", "does not begin with an area"),
        ("fixup! agent: say why", "does not begin with an area"),
        ("", "does not begin with an area"),
        (f"tests: {'x' * 66}", "has 73 characters"),
        ("agent: say why\nbecause", "is not followed by a blank line"),
    ],
)
def test_bad_messages(text: str, why: str) -> None:
    assert why in str(problem(text))


def test_commits_since_the_first_are_checked(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found(repository, capsys) == []
    commit(repository, "Capital", "agent: fine\n\nWhy.", "agent: no blank line\nWhy.")
    lines = found(repository, capsys)
    assert ["no blank line" in lines[0], "Capital" in lines[1], len(lines)] == [True, True, 2]
    assert found(repository, capsys, "HEAD~2..HEAD~1") == []


def test_merges_are_exempt_but_not_what_they_bring(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(repository, "checkout", "-q", "-b", "side")
    commit(repository, "Capital")
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "Merge branch 'side'", "side")
    [line] = found(repository, capsys)
    assert "Capital" in line


def test_published_commits_are_left_alone(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repository, "Capital")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    assert len(found(clone, capsys)) == 1  # all commits are published, as in continuous integration
    commit(clone, "agent: fine")
    assert found(clone, capsys) == []
    commit(clone, "Another")
    assert len(found(clone, capsys)) == 1
    git(repository, "tag", "v1")
    assert found(repository, capsys) == []


def test_a_clone_with_little_history(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repository, "agent: fine", "Capital", "agent: the last")
    clone = tmp_path / "clone"
    for depth, count in (("1", 0), ("2", 1)):
        git(tmp_path, "clone", "-q", "--depth", depth, f"file://{repository}", f"{clone}{depth}")
        git(Path(f"{clone}{depth}"), "checkout", "-q", "--detach")
        assert len(found(Path(f"{clone}{depth}"), capsys)) == count


def test_no_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main([], tmp_path) == 0
    assert "not checked" in capsys.readouterr().err
    assert main(["HEAD"], tmp_path) == 2


def test_a_history_without_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(tmp_path, "init", "-q")
    commit(tmp_path, "Before the rule")
    assert found(tmp_path, capsys) == []
