# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON objects of events and values, as a reader parses them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from agent.session.output_forms import JsonForm, TextForm
from runtime.abi.manifest import Argument, Manifest, Print, Probe, ValueType
from runtime.abi.structs import NO_SITE, EventKind
from runtime.events.decode import Event
from runtime.reader.merge import StatValue
from runtime.support.record import replace
from tests.runtime.images import Plan

ARGUMENTS = (Argument("name", ValueType.STRING), Argument("n", ValueType.LONG))


@pytest.fixture
def manifest() -> Manifest:
    return replace(
        Plan(lanes=1).manifest(),
        prints=(
            Print("%s: %d\n", ARGUMENTS, "x.stp:2:3"),
            Print("%s", ARGUMENTS[:1], "", log=True),
        ),
        probes=(Probe("timer.s(1)", "timer.s(1)", "timer", "x.stp:1:7"),),
    )


def test_an_event_has_its_probe_place_time_and_values(manifest: Manifest) -> None:
    event = Event(EventKind.PRINT, 1, 5, 0, 0, ("a\udcff\n", -3))
    assert json.loads(JsonForm().printed(event, manifest, 100)) == {
        "type": "print",
        "time_ns": 105,
        "cpu": 1,
        "probe": "timer.s(1)",
        "at": "x.stp:2:3",
        "text": "a\\xff\n: -3\n",
        "fields": {"name": "a\\xff\n", "n": -3},
    }
    assert JsonForm().printed(event, manifest, 100).count(b"\n") == 1
    assert TextForm().printed(event, manifest, 100) == b"a\xff\n: -3\n"
    logged = Event(EventKind.PRINT, 1, 5, 0, 1, ("a",))
    assert TextForm().printed(logged, manifest, 0) == b"a\n"


def test_an_error_is_an_object_too(manifest: Manifest) -> None:
    event = Event(EventKind.ERROR, 0, 5, None, NO_SITE, ("wrong",))
    found = json.loads(JsonForm().reported(event, manifest, 0))
    assert (found["type"], found["probe"], found["text"]) == ("error", None, "wrong")
    assert TextForm().reported(event, manifest, 0) == b""


def values(value: Any, elements: list[tuple[Any, ...]], **table: Any) -> Any:
    known: dict[str, Any] = {"name": "a", "keys": (), "display": False, "scratch": False}
    found = SimpleNamespace(**{**known, **table})
    return SimpleNamespace(table=found, keys=elements, values=[value] * len(elements), dropped=0)


def test_globals_are_objects() -> None:
    keys = (SimpleNamespace(name="execname"), SimpleNamespace(name="pid"))
    stat = StatValue(count=2, sum=5, min=1, max=4)
    tables = [
        values(stat, [("sh", 7)], keys=keys),
        values("text", [()], name="b"),
        values(1, [()], name="working", scratch=True),
    ]
    shot: Any = SimpleNamespace(tables=tables)
    first, second = map(json.loads, JsonForm().globals(shot).splitlines())
    assert first == {
        "type": "global",
        "name": "a",
        "keys": ["execname", "pid"],
        "elements": [
            {"key": ["sh", 7], "value": {"count": 2, "sum": 5, "min": 1, "max": 4, "avg": 2}}
        ],
    }
    assert second["elements"] == [{"key": [], "value": "text"}]
