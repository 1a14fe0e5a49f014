# SPDX-License-Identifier: GPL-2.0-or-later
"""The costs of hooks are measured once for each boot."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from runtime.abi.structs import COSTS, Cost
from runtime.reader.hook_costs import costs


class Kernel:
    """Measures the costs that a module with these kinds of hooks needs."""

    def __init__(self, folder: Path, *kinds: Cost) -> None:
        self.kinds, self.measured = kinds, 0
        self.file, self.boot = folder / "run/costs.json", folder / "boot_id"

    def measure(self, buffer: bytearray) -> None:
        found = list(COSTS.unpack(buffer))
        for kind in self.kinds:
            if not found[kind]:
                found[kind] = 100 + kind
                self.measured += 1
        COSTS.pack_into(buffer, 0, *found)

    def costs(self) -> tuple[int, ...]:
        return COSTS.unpack(costs(self.measure, self.file, self.boot))


def test_each_kind_is_measured_once_a_boot(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("one\n")
    first = Kernel(tmp_path, Cost.FTRACE)
    assert first.costs() == (100, 0, 0, 0, 0, 0)
    second = Kernel(tmp_path, Cost.FTRACE, Cost.KRETPROBE)
    assert second.costs() == second.costs() == (100, 0, 102, 0, 0, 0)
    assert (first.measured, second.measured) == (1, 1)
    (tmp_path / "boot_id").write_text("two\n")
    assert second.costs() == (100, 0, 102, 0, 0, 0)
    assert second.measured == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"boot": "one"}', '{"boot": "one", "ns": [1]}', '{"ns": "x"}']
)
def test_a_damaged_file_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "boot_id").write_text("one\n")
    kernel = Kernel(tmp_path, Cost.TIMER)
    kernel.file.parent.mkdir()
    kernel.file.write_text(text)
    assert kernel.costs() == kernel.costs() == (0, 0, 0, 103, 0, 0)
    assert kernel.measured == 1


def test_without_a_place_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("one\n")
    (tmp_path / "run").write_text("not a folder")
    assert Kernel(tmp_path, Cost.KPROBE).costs() == (0, 101, 0, 0, 0, 0)


def test_a_module_that_cannot_measure(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("one\n")

    def refuse(buffer: bytearray) -> None:
        raise OSError(errno.ENOTTY, "no such request")

    assert costs(refuse, tmp_path / "file", tmp_path / "boot_id") == bytes(COSTS.size)
    assert costs(refuse, tmp_path / "file", tmp_path / "nothing") == bytes(COSTS.size)
