# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of metrics whose labels are made of keys: each series once, with exact sums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.config.label_settings import Decoder, LabelSettings
from agent.config.settings import LogSettings, MetricSettings, ScriptSettings
from agent.config.yaml_tree import Position
from agent.daemon import label_memory
from agent.daemon.label_memory import Memory
from agent.daemon.labelled_values import LabelledValues
from agent.exposition.families import plan
from agent.exposition.render import Exposition, Format, Key, by_member
from agent.labels.decoders import Host
from agent.scripts.script import Script
from agent.scripts.script_log import ScriptLog
from runtime.abi.manifest import Table, WhenFull
from runtime.reader.merge import StatValue
from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER
from runtime.support.boot import boot_id
from runtime.support.record import replace
from tests.agent import values
from tests.agent.labels.slots import Array, keyed
from tests.agent.pages import samples

HERE = Position("test.yaml", 1, 1)
PARITY = LabelSettings(
    "key", "parity", map=(("0", "even"), ("2", "even"), ("1", "odd"), ("3", "odd"))
)


def exposition(table: Table, how: LabelSettings = PARITY, **given: Any) -> Exposition:
    settings = {table.name: MetricSettings(table.name, HERE, made_labels=(how,), **given)}
    families, problems = plan([("app", values.manifest(table), settings)], set())
    assert not problems
    return Exposition(families)


def page(of: Exposition, found: Mapping[Key, TableValues], form: Format) -> dict[Any, float]:
    end = b"# EOF\n" if form is Format.OPENMETRICS else b""
    return samples(b"".join(of.render(by_member(found), form)) + end, form)


FORMS = pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())


@FORMS
def test_counters_with_one_label_are_one_series(form: Format) -> None:
    table = keyed(values.number("reads"))
    array, labelled, of = Array(table), LabelledValues({}), exposition(table)
    for key in range(4):
        array.add(key, 10**key)
    found = labelled.apply(of, {("app", "reads"): array.read()})
    name = "stapwatch_app_reads_total"
    assert page(of, found, form) == {
        (name, (("parity", "even"),)): 101,
        (name, (("parity", "odd"),)): 1010,
    }
    array.count(0, 1000)
    found = labelled.apply(of, {("app", "reads"): array.read()})
    assert page(of, found, form)[name, (("parity", "even"),)] == 1101


@FORMS
def test_histograms_with_one_label_are_one_series(form: Format) -> None:
    table = keyed(values.statistic("size"))
    of, labelled = exposition(table), LabelledValues({})
    read = values.rows(
        table,
        {
            (key,): StatValue(None, 100 + key, buckets=tuple(int(n in (5, 7)) for n in range(65)))
            for key in range(4)
        },
    )
    pages = tuple(replace(p, data=bytes(4 * p.slots)) for p in read.key_pages)
    found = labelled.apply(of, {("app", "size"): replace(read, key_pages=pages)})
    got = page(of, found, form)
    for parity, total in (("even", 202), ("odd", 204)):
        labels = (("parity", parity),)
        assert got["stapwatch_app_size_sum", labels] == total
        assert got["stapwatch_app_size_count", labels] == 4
        assert got["stapwatch_app_size_bucket", (("le", "+Inf"), *labels)] == 4


def test_all_keys_dropped() -> None:
    table = keyed(values.number("reads"))
    array = Array(table)
    array.add(1, 3)
    array.add(2, 4)
    of = exposition(table, LabelSettings("key", drop=True))
    found = LabelledValues({}).apply(of, {("app", "reads"): array.read()})
    assert page(of, found, Format.TEXT) == {("stapwatch_app_reads_total", ()): 7}


def test_tables_without_such_labels_are_not_touched() -> None:
    table = keyed(values.number("reads"))
    array = Array(table)
    array.add(1, 3)
    families, _ = plan([("app", values.manifest(table), {})], set())
    found = {("app", "reads"): array.read()}
    assert LabelledValues({}).apply(Exposition(families), found) is found


def test_as_many_elements_are_counted_as_there_are_series() -> None:
    table = keyed(values.number("reads"))
    assert table.slots is not None
    table = replace(table, slots=replace(table.slots, when_full=WhenFull.OTHER))
    array, labelled, of = Array(table), LabelledValues({}), exposition(table)
    for key in range(20):
        array.add(key, 1)
    read = array.read()
    read = replace(read, key_pages=(*read.key_pages, OTHER), rows=read.rows + bytes(8))
    found = {("app", "reads"): read}
    served = labelled.apply(of, found)["app", "reads"]
    counted = labelled.counted(of, found)["app", "reads"]
    assert (
        len(counted) == len(served) == 2 + 16 + 1
    )  # even, odd, 4 to 19, and the row of all others


def test_failures_are_counted_once_and_not_by_counting() -> None:
    table = keyed(values.number("reads"))
    array, labelled = Array(table), LabelledValues({})
    of = exposition(table, LabelSettings("key", decode=Decoder.USER))
    array.add(0, 1)
    array.add(4_000_000_000, 1)
    for _ in range(2):
        labelled.counted(of, {("app", "reads"): array.read()})
        found = labelled.apply(of, {("app", "reads"): array.read()})
    assert found["app", "reads"].keys == [("root",), ("4000000000",)]
    assert labelled.failures == {("app", "user"): 1}


@pytest.mark.parametrize(("keep", "sums"), [(True, [8]), (False, [3])])
def test_the_next_module_goes_on_from_what_has_gone(keep: bool, sums: list[int]) -> None:
    table = replace(keyed(values.number("reads")), lock=0)
    settings = MetricSettings("reads", HERE, keep=keep, made_labels=(PARITY,))
    script = Script(
        "app",
        ScriptSettings("app", HERE, text="", metrics={"reads": settings}),
        ScriptLog("app", LogSettings()),
    )
    labelled, of = LabelledValues({"app": script}), exposition(table)
    array = Array(table)
    array.add(0, 3)
    gone = array.add(2, 5)
    labelled.apply(of, {("app", "reads"): array.read()})
    array.remove(gone)
    assert labelled.apply(of, {("app", "reads"): array.read()})["app", "reads"].values == [8]
    after = Array(replace(table, location="elsewhere"))
    after.add(0, 3)
    found = labelled.apply(exposition(after.table), {("app", "reads"): after.read()})
    assert found["app", "reads"].values == sums


def test_the_next_agent_goes_on_from_what_this_one_knew(tmp_path: Path) -> None:
    cgroup = tmp_path / "cgroups" / "demo.service"
    cgroup.mkdir(parents=True)
    number = cgroup.stat().st_ino
    table = keyed(values.number("reads"))
    of = exposition(table, LabelSettings("key", "unit", Decoder.SYSTEMD_UNIT))
    array = Array(table)
    here, gone = array.add(number, 3), array.add(number, 5)
    first = LabelledValues({}, Host(cgroup.parent))
    first.apply(of, {("app", "reads"): array.read()})
    array.remove(gone)
    found = first.apply(of, {("app", "reads"): array.read()})
    assert (found["app", "reads"].keys, found["app", "reads"].values) == ([("demo.service",)], [8])
    memory = first.memory()
    assert memory is not None
    label_memory.save(tmp_path, memory)
    cgroup.rmdir()
    array.count(here, 1)
    second = LabelledValues({}, Host(cgroup.parent))
    second.recall(tmp_path)
    found = second.apply(of, {("app", "reads"): array.read()})
    assert (found["app", "reads"].keys, found["app", "reads"].values) == ([("demo.service",)], [9])


def test_a_cgroup_that_is_first_seen_by_counting_has_its_name(tmp_path: Path) -> None:
    table = keyed(values.number("reads"))
    of = exposition(table, LabelSettings("key", "cgroup", Decoder.CGROUP))
    array, labelled = Array(table), LabelledValues({}, Host(tmp_path))
    for name in ("a", "b", "c"):  # each page lists the folders; what is counted after it is newer
        folder = tmp_path / name
        folder.mkdir()
        array.add(folder.stat().st_ino, 1)
        if name == "b":
            found = labelled.counted(of, {("app", "reads"): array.read()})["app", "reads"]
            assert len(found) == 2
        found = labelled.apply(of, {("app", "reads"): array.read()})["app", "reads"]
        assert found.keys[-1] == (f"/{name}",)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": 1}', '{"boot": "BOOT", "paths": []}'])
def test_a_damaged_memory_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text.replace("BOOT", boot_id()))
    assert label_memory.load(tmp_path) == Memory()


def test_without_labels_there_is_nothing_to_remember() -> None:
    assert LabelledValues({}).memory() is None


def test_state_of_modules_that_have_gone_is_forgotten() -> None:
    now = 0.0
    labelled = LabelledValues({}, clock=lambda: now)
    table = keyed(values.number("reads"))
    array, of = Array(table), exposition(table)
    array.add(1, 1)
    labelled.apply(of, {("app", "reads"): array.read()})
    now = 601.0
    labelled.apply(Exposition(()), {})
    assert not labelled._states
