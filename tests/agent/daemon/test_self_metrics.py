# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's own metrics: text that is cached between scrapes equals the library's output."""

from __future__ import annotations

import os

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from agent.config.budgets import NO_BUDGETS, Budgets
from agent.config.settings import LogSettings, ScriptSettings
from agent.config.yaml_tree import Position
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.exposition.render import Format
from agent.scripts.script import Script
from agent.scripts.script_log import ScriptLog
from runtime.reader.device import Image
from runtime.reader.snapshot import SnapshotReader
from runtime.support.record import replace
from tests.agent.pages import parsed, samples
from tests.runtime.images import Plan


@pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())
def test_text_is_the_library_s(form: Format) -> None:
    plan = Plan(lanes=2)
    plan.array("t", {"n": None}, 4)
    image = plan.image()
    reader = SnapshotReader(Image(image.data))
    metrics = SelfMetrics(Health(), {})
    # its process metrics change with each scrape
    metrics.registry = registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    seen = set()
    for hits in (0, 0, 7, 7, 8):
        image.in_lane(1, 0, hits)
        metrics.snapshots = {"s": reader.read()}
        text = metrics.render(form)
        if form is Format.OPENMETRICS:
            assert text == openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        elif form is Format.TEXT:
            assert text == generate_latest(registry)
        else:
            as_text = samples(generate_latest(registry), Format.TEXT)
            assert samples(text, form) == as_text
        parsed(text, form)
        seen.add(text)
    assert len(seen) == 3


def test_names_are_those_of_all_that_is_served() -> None:
    plan = Plan(lanes=1)
    plan.probes = tuple(replace(p, written='process("/x\udcff")') for p in plan.probes)
    metrics = SelfMetrics(Health(), {})
    metrics.snapshots = {"s": SnapshotReader(Image(plan.image().data)).read()}
    for form in Format:
        for family in parsed(metrics.render(form), form).values():
            assert {family.name, *(sample.name for sample in family.samples)} <= metrics.names()


def test_the_cpu_budget_is_in_seconds_of_all_cpus() -> None:
    """As the CPU time of probes is, so both can be compared. Without a budget there is none to compare with."""
    scripts = {}
    for name, budgets in (("a", Budgets(cpu=250_000)), ("b", NO_BUDGETS)):
        settings = ScriptSettings(name, Position("x.yaml", 1, 1), budgets=budgets)
        scripts[name] = Script(name, settings, ScriptLog(name, LogSettings()))
    page = SelfMetrics(Health(), scripts).render(Format.TEXT)
    [(series, value)] = [
        (series, value)
        for series, value in samples(page, Format.TEXT).items()
        if series[0] == "stapwatch_script_cpu_budget_seconds"
    ]
    assert series[1] == (("script", "a"),) and value == os.sysconf("SC_NPROCESSORS_ONLN") / 4
