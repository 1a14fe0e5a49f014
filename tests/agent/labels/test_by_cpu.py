# SPDX-License-Identifier: GPL-2.0-or-later
"""A module's values by CPU: from its memory to the page."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.label_settings import LabelSettings
from agent.config.settings import MetricSettings
from agent.config.yaml_tree import Position
from agent.daemon.labelled_values import LabelledValues
from agent.exposition.families import plan
from agent.exposition.render import Exposition, Format, by_member
from runtime.abi.manifest import Manifest, Storage
from runtime.reader.device import Image
from runtime.reader.snapshot import SnapshotReader
from tests.agent.pages import samples
from tests.runtime.images import Plan

HERE = Position("x.yaml", 1, 1)
CPU = LabelSettings("cpu")
DROP = LabelSettings("key", drop=True)


def exposition(manifest: Manifest, *made: LabelSettings) -> Exposition:
    settings = {t.name: MetricSettings(t.name, HERE, made_labels=made) for t in manifest.tables}
    families, problems = plan([("app", manifest, settings)], set())
    assert not problems
    return Exposition(families)


def page(of: Exposition, found: Any) -> dict[str, float]:
    text = b"".join(of.render(by_member(found), Format.TEXT))
    return {
        ",".join(f"{name}={value}" for name, value in labels): number
        for (_, labels), number in samples(text, Format.TEXT).items()
    }


def test_a_scalar_has_a_series_for_each_cpu_that_has_counted() -> None:
    layout = Plan(lanes=4)
    calls = layout.scalar("calls")
    image = layout.image()
    reader = SnapshotReader(Image(image.data))
    of, labelled = exposition(reader._manifest, CPU), LabelledValues({})
    for values in ((0, 5, 0, 7), (1, 5, 0, 9)):
        for lane, value in enumerate(values):
            image.row(calls, lane, 0, value)
        [read] = reader.read(False, ["calls"]).tables
        assert page(of, labelled.apply(of, {("app", "calls"): read})) == {
            f"cpu={lane}": value for lane, value in enumerate(values) if value
        }
        assert len(labelled.counted(of, {("app", "calls"): read})["app", "calls"]) == sum(
            map(bool, values)
        )


@pytest.mark.parametrize("drops", [True, False])
def test_an_array_by_cpu(drops: bool) -> None:
    layout = Plan(lanes=3)
    calls = layout.array("calls", {"key": None}, capacity=2000)
    image = layout.image()
    reader = SnapshotReader(Image(image.data))
    of, labelled = exposition(reader._manifest, CPU, *([DROP] if drops else [])), LabelledValues({})
    expected: dict[str, int] = {}
    for first, last in (
        (0, 3),
        (3, 1500),
    ):  # new elements go to pages that are known, and to new ones
        for n in range(first, last):
            image.slot(calls, n, 2, (n,))
            for lane in (0, 2):
                image.row(calls, lane, n, n + lane + 1)
                name = f"cpu={lane}" if drops else f"cpu={lane},key={n}"
                expected[name] = expected.get(name, 0) + n + lane + 1
        [read] = reader.read(False, ["calls"]).tables
        assert page(of, labelled.apply(of, {("app", "calls"): read})) == expected


def test_values_that_handlers_read_are_not_kept_by_cpu() -> None:
    layout = Plan(lanes=2)
    layout.scalar("calls", Storage.SHARED)
    settings = {"calls": MetricSettings("calls", HERE, made_labels=(CPU,))}
    manifest = SnapshotReader(Image(layout.image().data))._manifest
    _, [problem] = plan([("app", manifest, settings)], set())
    assert "its values are not kept by CPU, because handlers read it" in problem.message


def test_a_reading_without_cpus_is_left_out() -> None:
    layout = Plan(lanes=2)
    layout.scalar("calls")
    reader = SnapshotReader(Image(layout.image().data))
    of, labelled = exposition(reader._manifest, CPU), LabelledValues({})
    [read] = reader.read(False).tables
    assert labelled.apply(of, {("app", "calls"): read}) == {}
