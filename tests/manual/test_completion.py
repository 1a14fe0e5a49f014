# SPDX-License-Identifier: GPL-2.0-or-later
"""What bash, zsh and fish complete, and that all options are among it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from agent.cli import main
from completion import __main__ as command
from completion import fish, shells
from completion.values import KINDS, Kind, kind_of, starts
from manual import commands
from tests import PROJECT
from tests.manual.typing_shell import LISTED, environment, typed

SHOWN = [
    (name, a) for name in main.COMMANDS for a in commands.shown_actions(commands.parser_of(name))
]
# keys, a TAB at their end -> the command's arguments
TYPED = {
    "relo": ["reload"],
    "run --suppress-t": ["run", "--suppress-time-limits"],
    "check pypro": ["check", "pyproject.toml"],
    "run -v -I packag": ["run", "-v", "-I", "packaging"],
    "run -L vfs.read_": ["run", "-L", "vfs.read_iter"],
    "run -L 'kernel.trace(\"sch": ["run", "-L", 'kernel.trace("sched_switch")'],
    "run -e 'probe begin, kernel.trace(\"sch": [
        "run",
        "-e",
        'probe begin, kernel.trace("sched_switch")',
    ],
    "run -e 'pro": ["run", "-e", "probe "],
    "run -L 'neve": ["run", "-L", "never"],
}


@pytest.fixture
def completion() -> Path:
    return PROJECT / "packaging/completion/made"


def test_what_was_made_has_all_files(completion: Path, tmp_path: Path) -> None:
    """Releases of shtab write different texts, so they are not compared."""
    assert command.main([str(tmp_path)]) == 0
    made, found = (
        {path.relative_to(top) for path in top.rglob("*") if path.is_file()}
        for top in (tmp_path, completion)
    )
    assert made == found


@pytest.mark.host
@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("keys", TYPED)
def test_typed(shell: str, keys: str, completion: Path, tmp_path: Path) -> None:
    """bash closes an open quote behind the only word; zsh leaves it open."""
    end = "'" if shell == "zsh" and "'" in keys else ""
    found = typed(shell, f"stapwatch {keys}\t{end}", completion, tmp_path)
    assert [word.rstrip("/") for word in found] == TYPED[keys]


@pytest.mark.host
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("relo", {"reload"}),
        ("run --suppress-", {"--suppress-time-limits", "--suppress-handler-errors"}),
        ("run -p ", {"1", "2", "3", "4", "5"}),
        ("check pypro", {"pyproject.toml"}),
        ("run -I packagi", {"packaging/"}),
        ("run -l vfs.", {"vfs.", "vfs.*", "vfs.read", "vfs.read_iter"}),
        ("run -l 'kernel.trace(\"sch", {'kernel.trace("sched_switch")'}),
        ("run -e 'probe kernel.trace(\"sch", {'probe kernel.trace("sched_switch")'}),
        ("status --json vf", set()),
    ],
)
def test_fish(line: str, words: set[str], completion: Path, tmp_path: Path) -> None:
    script = (
        f"source {completion}/fish/stapwatch.fish; complete -C {fish.quoted(f'stapwatch {line}')}"
    )
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment(tmp_path),
    )
    assert done.stderr == ""
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == words
    asked = tmp_path / "asked"
    assert not asked.exists() or asked.read_text().count("\n") == 1


@pytest.mark.host
@pytest.mark.parametrize(
    ("function", "typed_word", "asked", "lines"),
    [
        ("_stapwatch_points", "vfs.read", "vfs.read*", {"vfs.read", "vfs.read_iter"}),
        (
            "_stapwatch_points",
            "kernel.function(",
            None,
            {'kernel.function("', 'kernel.function("*")'},
        ),
        ("_stapwatch_points", 'kernel.function("vfs_', 'kernel.function("vfs_*")', {LISTED[2]}),
        ("_stapwatch_points", 'kernel.function("vfs_read")', None, set()),
        (
            "_stapwatch_points",
            'kernel.function("vfs_read").re',
            'kernel.function("vfs_read").re*',
            set(),
        ),
        ("_stapwatch_points", "timer.s(1", None, {"timer.s(1)"}),
        ("_stapwatch_points", "neve", None, {"never"}),
        ("_stapwatch_script_points", "probe neve", None, {"probe never"}),
        ("_stapwatch_script_points", "probe begin,neve", None, {"probe begin,never"}),
        ("_stapwatch_script_points", "probe begin { neve", None, set()),
        ("_stapwatch_script_points", "", None, {"probe "}),
        ("_stapwatch_script_points", "global x", None, set()),
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_points(
    shell: str, function: str, typed_word: str, asked: str | None, lines: set[str], tmp_path: Path
) -> None:
    script = f'{shells.points()}{function} "$1"'
    done = subprocess.run(
        [shell, "-c", script, shell, typed_word],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
    )
    assert done.stderr == ""
    assert set(done.stdout.splitlines()) == lines
    log = tmp_path / "asked"
    assert (log.read_text() if log.exists() else None) == (asked and f"{asked}\n")


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_option_is_completed(name: str, completion: Path) -> None:
    """If not: make completion."""
    wanted = {option for of, action in SHOWN for option in action.option_strings if of == name}
    for file, offered in (
        ("bash/stapwatch", offered_by_bash),
        ("zsh/_stapwatch", offered_by_zsh),
        ("fish/stapwatch.fish", offered_by_fish),
    ):
        assert offered((completion / file).read_text(), name) == wanted, file


def offered_by_bash(text: str, name: str) -> set[str]:
    array = re.search(rf"_stapwatch_{name}_option_strings=\(([^)]*)\)", text)
    assert array is not None
    return set(shlex.split(array[1]))


def offered_by_zsh(text: str, name: str) -> set[str]:
    """Lines as `"*-D[set a limit]:..."`, `{-h,--help}"[...]"`."""
    lines = text.partition(f"_shtab_stapwatch_{name}_options=(\n")[2].partition("\n)\n")[0]
    return {
        option
        for line in lines.splitlines()
        for option in re.findall(r"(?<![\w(. -])-[-\w.]+", line.partition("[")[0])
    }


def offered_by_fish(text: str, name: str) -> set[str]:
    lines = [line for line in text.splitlines() if f"from {name}' " in line]
    words = " ".join(line.partition(f"from {name}' ")[2].partition(" -d ")[0] for line in lines)
    long = {f"--{word}" for word in re.findall(r"-l (\S+)", words)}
    return long | {f"-{word}" for word in re.findall(r"-s (\S+)", words)}


def test_every_word_of_help_has_a_kind() -> None:
    kinds = {kind_of(name, action) for name, action in SHOWN}
    assert kinds == set(Kind)
    words = {a.metavar or a.dest.upper() for _, a in SHOWN if a.nargs != 0 and a.choices is None}
    assert words == set(KINDS)


def test_starts() -> None:
    found = starts()
    assert {'kernel.function("', 'kernel.function("*")', "timer.s(", "timer.s(1)", "begin"} <= set(
        found
    )
    assert {"vfs.", "vfs.*", "syscall.", "init"} <= set(found)


def test_what_it_refuses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command.main([]) == 2
    assert "usage" in capsys.readouterr().err
    monkeypatch.setattr("shtab.__version__", "1.5.5")
    assert command.main([str(tmp_path)]) == 1
    assert "too old" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
