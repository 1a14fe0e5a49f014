# SPDX-License-Identifier: GPL-2.0-or-later
"""Each fault of the table, one after the other, on one running service: docs/reliability.md says what it costs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab import Guest
from tests.system.reliability import document
from tests.system.reliability.fault import Fault
from tests.system.reliability.scene import Scene
from tests.system.reliability.serving import serving
from tests.system.reliability.table import FAULTS
from tests.system.service import Service
from tests.system.setting import Setting

OUTCOMES: dict[str, document.Row] = {}


@pytest.fixture(scope="module")
def scene(
    guest: Guest, setting: Setting, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with serving(guest, setting, service, tmp_path_factory.mktemp("reliability")) as started:
        yield started


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(scene: Scene, fault: Fault) -> None:
    before = scene.now()
    fault.do(scene)
    cost = scene.cost(fault, before)
    OUTCOMES[fault.name] = document.outcome(cost)
    assert fault.unsaid(cost.journal) == [], cost.journal
    assert cost.lost.keys() == fault.reasons
    assert {name for name, count in cost.resets.items() if count} <= fault.swaps
    for name, count in cost.counted.items():
        assert count <= cost.made[name] + fault.tolerance(name), cost
    assert scene.guest.complaints() == []


def test_the_document_says_what_was_seen() -> None:
    before = document.seen(document.FILE.read_text()) if document.FILE.exists() else {}
    if os.environ.get("RELIABILITY_UPDATE"):
        document.FILE.write_text(document.render(FAULTS, {**before, **OUTCOMES}))
        return
    for name, row in OUTCOMES.items():
        assert document.comparable(before[name]) == document.comparable(row), name
