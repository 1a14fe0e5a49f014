# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels are found by release in root folders, and two builds of one release are two kernels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.prebuilt import kernels
from agent.prebuilt.kernels import KernelError
from compiler.kernel.kernel import Kernel


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three systems, whose kernels' build-ids are the texts of their images."""
    top = tmp_path / "roots"
    for system, release, build in (
        ("a", "6.1.0-1", "aa"),
        ("b", "6.12.9", "bb"),
        ("c", "6.1.0-1", "cc"),
        ("copy", "6.1.0-1", "aa"),
    ):
        (top / system / "boot").mkdir(parents=True)
        (top / system / "lib/modules" / release).mkdir(parents=True)
        (top / system / f"boot/vmlinuz-{release}").write_text(build)
    (top / "notes").mkdir()

    def build_id(kernel: Kernel) -> bytes:
        assert kernel.image_path is not None
        return bytes.fromhex(kernel.image_path.read_text())

    monkeypatch.setattr(Kernel, "build_id", property(build_id))
    return top


def found(roots: Path, *wanted: str) -> tuple[list[tuple[str, str]], list[str]]:
    some, problems = kernels.find(wanted, [roots], roots / "cache")
    return [(kernel.release, kernel.build_id) for kernel in some], problems


def test_each_build_once(roots: Path) -> None:
    assert found(roots, "6.1.0-1") == ([("6.1.0-1", "aa"), ("6.1.0-1", "cc")], [])
    assert found(roots) == ([("6.1.0-1", "aa"), ("6.1.0-1", "cc"), ("6.12.9", "bb")], [])
    one, _ = kernels.find(["6.12.9"], [roots / "b"], roots / "cache")
    assert [kernel.request for kernel in one] == [
        {"root": str(roots / "b"), "release": "6.12.9"},
    ]


def test_what_is_missing_is_told(roots: Path) -> None:
    some, problems = found(roots, "6.1.0-2", "6.12.9")
    assert some == [("6.12.9", "bb")]
    assert len(problems) == 1 and "no kernel 6.1.0-2 here" in problems[0]
    assert "did you mean '6.1.0-1'?" in problems[0]
    with pytest.raises(KernelError, match=r"no kernel is installed in .*notes"):
        kernels.find([], [roots / "notes"], roots / "cache")
    with pytest.raises(KernelError, match="there is no folder"):
        kernels.find([], [roots / "none"], roots / "cache")


def test_without_options_it_is_the_one_that_runs(tmp_path: Path) -> None:
    [kernel], problems = kernels.find([], [], tmp_path)
    assert (kernel.release, problems, kernel.request) == (os.uname().release, [], None)
