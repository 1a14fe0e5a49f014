# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot guard: which boots and crashes quarantine a script, and what is on the disk when."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.scripts.guard import MINUTE, Guard
from agent.scripts.script_records import Quarantine, Record, ScriptRecords, Starting


class Machine:
    """A state folder that agents of several boots use. `now`: seconds."""

    def __init__(self, folder: Path) -> None:
        self.records = ScriptRecords(folder)
        self.now = 100.0

    def agent(self, boot: str) -> Guard:
        return Guard(self.records, boot, lambda: self.now)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def started(guard: Guard, script: str = "vfs", identity: str = "one") -> None:
    assert guard.check(script, identity, "") is None
    guard.trying(script, identity)


def test_a_crash_in_the_first_minute(machine: Machine) -> None:
    """Only the module that was tried is meant, and a person's word lets it try again."""
    started(machine.agent("first"))
    guard = machine.agent("second")
    why = guard.check("vfs", "one", "")
    assert why is not None and why.budget == "boot"
    assert "the machine went down" in why.reason and "stapwatch arm vfs" in why.reason
    assert guard.check("other", "one", "") is None
    assert guard.check("vfs", "two", "") is None, "its text has changed"
    third = machine.agent("third")
    assert third.check("vfs", "one", "any") is not None, "it is remembered"
    third.release("vfs")
    started(third)
    assert machine.agent("fourth").check("vfs", "one", "") is not None, (
        "it is tried as if it were new"
    )


def test_a_crash_after_a_minute(machine: Machine) -> None:
    guard = machine.agent("first")
    started(guard)
    machine.now += MINUTE - 1
    assert guard.due() == []
    machine.now += 1
    assert guard.due() == ["vfs"]
    guard.settle("vfs")
    assert guard.due() == []
    again = machine.agent("second")
    started(again)
    assert machine.records.load("vfs") == Record(proven="one"), "it is proven: no mark"
    assert machine.agent("third").check("vfs", "one", "") is None


def test_a_clean_reboot_in_the_first_minute(machine: Machine) -> None:
    guard = machine.agent("first")
    started(guard)
    guard.stopped("vfs")
    assert machine.records.load("vfs") == Record()
    assert machine.agent("second").check("vfs", "one", "") is None


def test_a_crash_of_the_agent_alone(machine: Machine) -> None:
    """The next agent of the same boot adopts the module, and goes on watching it."""
    started(machine.agent("first"))
    guard = machine.agent("first")
    assert guard.check("vfs", "one", "") is None
    guard.adopted("vfs")
    machine.now += MINUTE
    assert guard.due() == ["vfs"]
    guard.settle("vfs")
    assert machine.records.load("vfs") == Record(proven="one")


def test_quarantine_by_budgets_ends_with_other_budgets(machine: Machine) -> None:
    why = Quarantine("one", "cpu=5", "cpu", "it took too much")
    machine.agent("first").quarantine("vfs", why)
    guard = machine.agent("second")
    assert guard.check("vfs", "one", "cpu=5") == why
    assert guard.check("vfs", "one", "cpu=20") is None
    assert guard.check("vfs", "two", "cpu=5") is None
    guard.trying("vfs", "two")
    assert machine.records.load("vfs").quarantine is None


def test_a_quarantine_is_of_a_text(machine: Machine) -> None:
    """Another kernel or compiler makes another module of it, which is not tried; another text is."""
    guard = machine.agent("first")
    guard.quarantine("vfs", Quarantine("one", "b", "cpu", "it took too much"), "r1")
    guard = machine.agent("second")
    assert guard.check("vfs", "two", "b", "r1") is not None
    assert guard.check("vfs", "one", "b", "r2") is None
    assert guard.check("vfs", "one", "other", "r1") is None
    guard.trying("vfs", "two")
    assert machine.records.load("vfs").revision == ""


def test_a_crash_quarantines_the_text(machine: Machine) -> None:
    machine.agent("first").trying("vfs", "one")
    assert machine.agent("second").check("vfs", "one", "", "r1") is not None
    guard = machine.agent("third")
    assert guard.check("vfs", "of another kernel", "", "r1") is not None
    assert guard.check("vfs", "one", "", "r2") is None


def test_what_is_allowed_is_remembered(machine: Machine) -> None:
    guard = machine.agent("first")
    assert guard.remembered("vfs") == Record()
    guard.allow("vfs", armed="r1")
    guard.allow("vfs", passed="r2")
    started(guard)
    guard.stopped("vfs")
    found = machine.agent("second").remembered("vfs")
    assert (found.armed, found.passed, found.held) == ("r1", "r2", False)


def test_a_person_s_disarm_is_remembered(machine: Machine) -> None:
    """Over restarts, other texts and stops, until a person arms the script."""
    guard = machine.agent("first")
    guard.hold("vfs")
    started(guard)
    guard.stopped("vfs")
    guard = machine.agent("second")
    assert guard.remembered("vfs").held
    guard.release("vfs")
    assert not machine.agent("third").remembered("vfs").held


def test_a_record_of_an_older_agent(machine: Machine, tmp_path: Path) -> None:
    machine.records.save("vfs", Record())
    file = tmp_path / "scripts/vfs.json"
    quarantine = '{"identity": "one", "budgets": "", "budget": "cpu", "reason": "x"}'
    file.write_text(f'{{"proven": "p", "starting": null, "quarantine": {quarantine}}}')
    guard = machine.agent("first")
    assert guard.check("vfs", "one", "", "r1") is not None
    assert guard.check("vfs", "two", "", "r1") is None
    found = guard.remembered("vfs")
    assert (found.armed, found.passed, found.held) == ("", "", False)


def test_marks_are_synced_before_the_module_is_loaded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the file, then its name, then the folder."""
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noting_sync(fd: int) -> None:
        done.append(kind(fd))
        sync(fd)

    def noting_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(Path, "replace", noting_rename)
    started(machine.agent("first"))
    assert done == ["file", "rename", "folder"]
    assert machine.records.load("vfs") == Record(starting=Starting("one", "first"))


def kind(fd: int) -> str:
    return "folder" if Path(f"/proc/self/fd/{fd}").readlink().is_dir() else "file"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_folder_that_cannot_be_written_stops_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    guard = machine.agent("first")
    started(guard, "before")

    def refuse(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "replace", refuse)
    started(guard)
    assert os.strerror(number) in guard.problem
    assert machine.records.load("vfs") == Record()
    assert list(machine.records._folder.iterdir()) == [machine.records._file("before")]
    guard.stopped("before")
    assert guard.problem == "" and machine.records.load("before") == Record(), "no mark stays"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"proven": "", "starting": 3}', "null"])
def test_a_damaged_record_is_none(machine: Machine, text: str) -> None:
    started(machine.agent("first"))
    machine.records._file("vfs").write_text(text)
    assert machine.agent("second").check("vfs", "one", "") is None
