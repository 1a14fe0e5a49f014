# SPDX-License-Identifier: GPL-2.0-or-later
"""All files of one format, as texts by their paths.

made = make(scripts, Form.GRAFANA, "docs/alerts.md")
made.texts["stapwatch-vfs_latency.json"]  -> '{"uid": "stapwatch-...", ...}'
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.config.settings import MetricSettings
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.dashboards import mixin
from agent.dashboards.agent_dashboard import agent_dashboard
from agent.dashboards.alerts import ALERTS
from agent.dashboards.fleet_dashboard import fleet_dashboard
from agent.dashboards.metric_alerts import ANCHOR, alerts
from agent.dashboards.rules import Group, alert_rules, recording_rules, text
from agent.dashboards.script_dashboard import script_dashboard
from agent.exposition.families import Family, plan
from runtime.abi.manifest import Manifest
from runtime.support.record import record
from runtime.support.str_enum import StrEnum

ScriptMetrics = tuple[
    str, Manifest, Mapping[str, MetricSettings]
]  # a script, its module, its metrics


class Format(StrEnum):
    GRAFANA = "grafana"
    MIXIN = "mixin"
    RULES = "rules"


@record
class Made:
    """`problems`: what is not exported, or has no alert, as the configuration says."""

    texts: Mapping[str, str]
    problems: tuple[str, ...]


def make(scripts: Sequence[ScriptMetrics], form: Format, runbooks: str) -> Made:
    """`runbooks`: what stands in front of the section of an alert in its runbook_url."""
    families, planned = plan(scripts, SelfMetrics(Health(), {}).names())
    groups, wrong = _groups(scripts, families)
    problems = (*(f"script {p.script}: {p.message}" for p in planned), *wrong)
    alerting, recording = alert_rules(groups, runbooks), recording_rules()
    if form is Format.RULES:
        texts = {"alerts.yaml": text(alerting), "rules.yaml": text(recording)}
        return Made(texts, problems)
    boards = {f"{name}.json": _json(tree) for name, tree in dashboards(scripts, families).items()}
    if form is Format.GRAFANA:
        return Made(boards, problems)
    placed = {f"{mixin.DASHBOARDS}/{name}": board for name, board in boards.items()}
    rules = {mixin.ALERTS: _json(alerting), mixin.RULES: _json(recording)}
    return Made({**rules, **placed, **mixin.files(boards, runbooks)}, problems)


def dashboards(
    scripts: Sequence[ScriptMetrics], families: Sequence[Family]
) -> dict[str, dict[str, Any]]:
    """By the name of the file, without its ending."""
    own = {f"stapwatch-script-{name}": script_dashboard(name, families) for name, *_ in scripts}
    return {"stapwatch-agent": agent_dashboard(), "stapwatch-fleet": fleet_dashboard(), **own}


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Raises OSError."""
    for name, content in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _groups(
    scripts: Sequence[ScriptMetrics], families: Sequence[Family]
) -> tuple[list[Group], list[str]]:
    groups, wrong = [Group("stapwatch", ALERTS)], list[str]()
    for name, _, metrics in scripts:
        found, problems = alerts(name, families, metrics)
        groups.append(Group(f"stapwatch-script-{name}", found, ANCHOR))
        wrong += problems
    return groups, wrong


def _json(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
