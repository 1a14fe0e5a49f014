# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of scripts: those of the example probes, which packages are made of, are what the compiler finds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import load
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.dashboards import script_tables
from agent.dashboards.script_tables import TablesError
from agent.exposition.families import plan
from runtime.support.record import replace
from tests import PROJECT
from tests.agent.dashboards import exported

PROBES = PROJECT / "packaging/probes.d"


@pytest.mark.host
def test_recorded_tables_are_those_of_the_compiler(tmp_path: Path) -> None:
    """If not: packaging/build_dashboards.sh --record. It needs a kernel with types, headers it does not need."""
    settings = exported.settings_of_examples()
    scripts = [
        replace(script, file=PROBES / f"{name}.stp") for name, script in settings.scripts.items()
    ]
    assert {s.name for s in scripts} == {path.stem for path in PROBES.glob("*.stp")}
    found, errors = asyncio.run(script_tables.compiled(settings, scripts, tmp_path))
    assert errors == []
    assert script_tables.text(found) == exported.TABLES.read_text()


@pytest.mark.host
def test_what_cannot_be_compiled_is_reported_and_the_others_are_there(tmp_path: Path) -> None:
    text = "global a probe begin { a++ }"
    settings = load.loads(
        f"script_folders: []\nscripts:\n  good: {{text: '{text}'}}\n  bad: {{text: 'probe begin {{ b() }}'}}\n"
        f"  gone: {{file: {tmp_path}/gone.stp}}\n"
        "  second: {variants: [{name: first, text: 'probe begin { c() }'}, "
        f"{{name: next, text: '{text}'}}]}}\n"
    )
    found, errors = asyncio.run(
        script_tables.compiled(settings, settings.scripts.values(), tmp_path / "cache")
    )
    assert set(found) == {"good", "second"} and found["good"].tables[0].name == "a"
    assert len(errors) == 2 and "there is no function 'b'" in errors[0] and "gone.stp" in errors[1]


def test_a_file_plans_the_same_metrics(tmp_path: Path) -> None:
    scripts = exported.examples()
    (tmp_path / "x.json").write_text(script_tables.text({n: m for n, m, _ in scripts}))
    again = script_tables.read(tmp_path / "x.json")
    reserved = SelfMetrics(Health(), {}).names()
    families, problems = plan(((n, again[n], given) for n, _, given in scripts), reserved)
    assert (families, problems) == plan(scripts, reserved)
    assert problems == () and len(families) >= len(scripts)


@pytest.mark.parametrize("text", ["", "[]", '{"x": 5}', '{"x": {"tables": []}}', "\xff"])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="latin-1")
    with pytest.raises(TablesError, match="has no tables of scripts"):
        script_tables.read(tmp_path / "x.json")
