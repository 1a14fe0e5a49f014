# SPDX-License-Identifier: GPL-2.0-or-later
"""What the status says of scripts: those that wait for a module of the kernel, or are not loaded here."""

from __future__ import annotations

import struct
from typing import Any

from agent.daemon import status_tree
from runtime.abi.structs import WAITING
from runtime.reader.device import Image
from runtime.reader.snapshot import read
from runtime.support.record import replace
from tests.runtime.images import Plan

SCRIPT: dict[str, Any] = {
    "name": "net",
    "state": "running",
    "reason": "",
    "problems": ["a problem"],
    "source": "x",
}


def test_waiting_is_no_failure() -> None:
    plan = Plan(lanes=1)
    plan.probes = tuple(replace(p, point='module("toy").function("f")') for p in plan.probes)
    image = plan.image()
    struct.pack_into("<QIi", image.data, image.shared, 0, 0, WAITING)
    struct.pack_into("<QIi", image.data, image.shared + 16, 0, 0, -2)
    first, second = read(Image(image.data)).probes
    assert (first.waiting, first.failed_attachments) == (('module("toy").function("f")',), ())
    assert (second.waiting, len(second.failed_attachments)) == ((), 1)


def test_the_modules_are_named_that_probes_wait_for() -> None:
    points = ["toy:f", "toy:g", 'module("toy").function("h").return', 'kernel.data("x").write']
    assert status_tree.reasons({**SCRIPT, "waiting": points}) == [
        "a problem",
        'waits for kernel.data("x").write (1 probed)',
        "waits for module toy (3 probed)",
    ]
    assert status_tree.reasons({**SCRIPT, "problems": []}) == []


def test_modules_of_an_older_compiler_are_named() -> None:
    of_older = {**SCRIPT, "compiler": "0.1.0+ab", "older_compiler": True}
    assert status_tree.reasons(of_older)[1:] == [
        "its module is of compiler 0.1.0+ab; to replace it: stapwatch reload --recompile"
    ]
    assert status_tree.reasons({**of_older, "older_compiler": False}) == ["a problem"]


def test_scripts_that_are_not_loaded_here_are_known() -> None:
    entries = [
        {"name": "net", "state": "running", "reason": "'when' holds"},
        {"name": "vfs", "state": "off", "reason": "host is 'a', and must be '<b>'"},
    ]
    tree: dict[str, Any] = {
        "version": "1",
        "disabled": "",
        "reload": {"error": ""},
        "scripts": [SCRIPT],
        "rollout": entries,
    }
    assert [entry["reason"] for entry in status_tree.absent(tree)] == [entries[1]["reason"]]
