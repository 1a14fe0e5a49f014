# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make kernels` makes of pytest's runs: real ones, of a file that has every kind of result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import DEFAULT_KERNEL, KERNELS
from tests.kernels import __main__ as command
from tests.kernels.run import Outcome, count, run, table

KINDS = """\
import os, pytest
@pytest.fixture
def guest():
    yield
    assert False, "BUG: scheduling while atomic"
def test_good(): assert os.environ["LAB_KERNEL"] == "{kernel}"
def test_bad(): assert False
def test_of_another_kernel(): pytest.skip("there is no such thing")
def test_passed_but_the_kernel_complained(guest): pass
"""
BAD = {"test_kinds::test_bad", "test_kinds::test_passed_but_the_kernel_complained"}


def test_each_test_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KERNEL", "6.1")
    file = tmp_path / "test_kinds.py"
    file.write_text(KINDS.format(kernel="6.1"))
    report = tmp_path / "report.xml"
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"--rootdir={tmp_path}",
        f"--junitxml={report}",
        file,
    ]
    assert subprocess.run(argv, cwd=tmp_path, capture_output=True).returncode == 1
    found = count("6.1", "6.1.0-56-amd64", 3.0, report)
    assert (found.passed, found.failed, found.left_out) == (1, 2, 1)
    assert {*found.trouble} == BAD
    assert not found.good


def test_only_tests_that_ran_are_good() -> None:
    assert Outcome("6.1", passed=1).good
    assert Outcome("6.1", passed=1, left_out=3).good
    assert not Outcome("6.1", left_out=3).good
    assert not Outcome("6.1", passed=1, trouble=("ended after 3600 s",)).good


def test_table() -> None:
    rows = [
        Outcome("5.10", "5.10.0-32-amd64", 187, 0, 12, 401.4),
        Outcome("6.12-rt", "6.12.1-rt-amd64", 98, 1, 0, 1200.0, ("a::b",)),
        Outcome("7.2", trouble=("mmdebstrap failed",)),
    ]
    assert table(rows) == (
        "kernel  flavour  release          passed  failed  left out  seconds\n"
        "5.10    -        5.10.0-32-amd64     187       0        12      401\n"
        "6.12    rt       6.12.1-rt-amd64      98       1         0     1200\n"
        "7.2     -        -                     0       0         0        0\n"
        "6.12-rt: a::b\n"
        "7.2: mmdebstrap failed"
    )


@pytest.mark.lab
def test_a_kernel_that_fails_does_not_keep_the_next_from_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "test_kinds.py"
    file.write_text(KINDS.format(kernel=DEFAULT_KERNEL))
    monkeypatch.setattr(sys, "argv", ["kernels", "--tests", str(file), "2.4", DEFAULT_KERNEL])
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    assert command.main() == 1
    *_, last = capsys.readouterr().out.strip().split("\n\n")
    assert "2.4: no suite for kernel '2.4'" in last
    assert f"{DEFAULT_KERNEL}: " in last and "test_bad" in last


@pytest.mark.lab
def test_tests_that_hang_are_ended(tmp_path: Path) -> None:
    file = tmp_path / "test_hangs.py"
    file.write_text("import time\ndef test_hangs(): time.sleep(600)\n")
    found = run(DEFAULT_KERNEL, [str(file)], tmp_path, timeout=5)
    assert not found.good
    assert "ended after 5 s" in found.trouble[0]


def test_all_kernels_have_a_name_that_the_table_can_split() -> None:
    assert [k.partition("-")[0] for k in KERNELS] == sorted(
        (k.partition("-")[0] for k in KERNELS), key=lambda s: tuple(map(int, s.split(".")))
    )
