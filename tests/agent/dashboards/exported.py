# SPDX-License-Identifier: GPL-2.0-or-later
"""What dashboards are made of in tests: the example scripts, by their recorded tables, and odd ones made by hand.

examples()   -> [("block_latency", manifest, metrics), ...]
odd()        -> names, labels and families that could be mixed up
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.config import load
from agent.config.settings import Settings
from agent.dashboards import script_tables
from agent.dashboards.files import ScriptMetrics
from runtime.abi.manifest import Manifest
from runtime.support.record import replace
from tests import PROJECT
from tests.agent import values

TABLES = PROJECT / "packaging/dashboards/tables.json"
CONFIGURED = PROJECT / "packaging/etc/conf.d"

_ODD = """\
script_folders: []
scripts:
  odd:
    text: x
    metrics:
      reads: {name: stapwatch_shared, constant_labels: {who: 'it''s "$job" \\ odd'}}
      version: {type: info}
      size: {unit: bytes, alert: [{above: 4096, name: LargeMean}, {below: 0.5, of: rate, for: 0}]}
      lat_us: {alert: {above: 0.5, of: p99.9, for: 90s, severity: critical, summary: slow}}
      depth: {alert: {above: 10, runbook: 'https://wiki.example.org/depth'}}
      many: {alert: {above: 5}}
  other:
    text: x
    metrics:
      reads: {name: stapwatch_shared, constant_labels: {who: other}, alert: {above: 5}}
  probe: {text: x}
"""


def settings_of_examples() -> Settings:
    """Their files are where they are installed, and need not be there."""
    return load.load(
        PROJECT / "packaging/stapwatch.yaml",
        insecure_files=True,
        adapt=lambda settings: replace(settings, script_folders=()),
        packaged=CONFIGURED,
    )


def examples() -> list[ScriptMetrics]:
    found, configured = script_tables.read(TABLES), settings_of_examples().scripts
    return [(name, found[name], configured[name].metrics) for name in sorted(configured)]


def odd() -> list[ScriptMetrics]:
    """`odd` and `other` have a family together; `probe` has one that is the agent's own."""
    configured = load.loads(_ODD).scripts
    tables: Mapping[str, Manifest] = {
        "odd": values.manifest(
            values.number("reads", "who_else"),
            values.number("many", "job", "instance"),
            values.number("depth", "queue", monotonic=False),
            values.string("version"),
            values.statistic("size", "kind", histogram=None),
            values.statistic("lat_us"),
            name="odd",
        ),
        "other": values.manifest(values.number("reads", "who_else"), name="other"),
        "probe": values.manifest(values.number("hits"), name="probe"),
    }
    return [(name, tables[name], configured[name].metrics) for name in tables]
