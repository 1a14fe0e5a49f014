# SPDX-License-Identifier: GPL-2.0-or-later
"""What sync has found at each store is kept, counted and read again; who wrote the file is not believed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.store.looks import Look, Looks, StoreState

URL, OTHER, KERNEL = "https://a.example.org/store", "file:///srv/store", "ab" * 20
READY = Look(URL, KERNEL, StoreState.READY, modules=3, absent=("late",))
REFUSED = Look(URL, KERNEL, StoreState.REFUSED, "it was changed", refusal="digest")


def test_the_last_success_is_remembered(tmp_path: Path) -> None:
    Looks(tmp_path).note([READY], 100.0)
    Looks(tmp_path).note([REFUSED], 200.0)
    found = Looks(tmp_path).all()[URL, KERNEL]
    assert (found.state, found.looked, found.succeeded) == (StoreState.REFUSED, 200.0, 100.0)
    assert found.modules == 3, "what was fetched is still there"
    Looks(tmp_path).note([READY], 300.0)
    assert Looks(tmp_path).all()[URL, KERNEL].succeeded == 300.0


def test_refusals_are_counted(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    for now in (1.0, 2.0):
        looks.note([REFUSED, Look(OTHER, KERNEL, StoreState.UNAVAILABLE, "it is gone")], now)
    assert looks.refused() == {(URL, "digest"): 2}
    looks.note([READY], 3.0)
    assert looks.refused() == {(URL, "digest"): 2}
    looks.note([Look(OTHER, KERNEL, StoreState.READY)], 4.0)
    assert looks.refused() == {} and list(looks.all()) == [(OTHER, KERNEL)]


def test_nobody_has_looked(tmp_path: Path) -> None:
    assert not Looks(tmp_path).all() and not Looks(tmp_path / "none").refused()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: "[]",
        lambda text: "[" * 99999,
        lambda text: text.replace('"ready"', '"splendid"'),
        lambda text: text.replace('"refused": []', '"refused": [["a", "b", 1]]'),
        lambda text: text.replace("100.0", '"soon"'),
        lambda text: " " * (5 << 20) + text,
    ],
)
def test_a_damaged_file_is_none(tmp_path: Path, damage: object) -> None:
    looks = Looks(tmp_path)
    looks.note([READY], 100.0)
    [file] = tmp_path.iterdir()
    file.write_text(damage(file.read_text()))  # type: ignore[operator]
    os.utime(file, (1, 1))
    assert not looks.all() and not looks.refused()


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(tmp_path)
    looks.note([READY], 100.0)
    looks.all()
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was read again"))
    assert looks.all()[URL, KERNEL].modules == 3
