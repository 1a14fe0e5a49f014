# SPDX-License-Identifier: GPL-2.0-or-later
"""Rule files for Prometheus, in YAML: alerts, and sums that a fleet's dashboards are faster with.

alert_file((("stapwatch", ALERTS, ""),), "docs/alerts.md")  -> "groups:\\n- name: stapwatch\\n  rules: ..."
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from agent.dashboards.alerts import Alert, rule
from agent.dashboards.promql import over, rate
from runtime.support.record import record

Tree = dict[str, list[dict[str, Any]]]
_HEADER = "# Made by `stapwatch dashboards`.\n"
_WIDTH = 110


@record
class Group:
    """`anchor`: the section of the runbook that all of its alerts have; "": each has its own."""

    name: str
    alerts: tuple[Alert, ...]
    anchor: str = ""


# By the name that Prometheus advises: the labels that are left, the metric, and what was done.
RECORDED = {
    "job_script_revision_state:stapwatch_script_info:count": over(
        "count", "stapwatch_script_info", ("job", "script", "revision", "state")
    ),
    "job_script_reason:stapwatch_lost:rate5m": over(
        "sum", rate("stapwatch_lost_total", "5m"), ("job", "script", "reason")
    ),
    "job_script:stapwatch_probe_cpu_seconds:rate5m": over(
        "sum", rate("stapwatch_probe_cpu_seconds_total", "5m"), ("job", "script")
    ),
}


def alert_rules(groups: Iterable[Group], runbooks: str) -> Tree:
    return _tree(
        {"name": g.name, "rules": [rule(alert, runbooks, g.anchor) for alert in g.alerts]}
        for g in groups
        if g.alerts
    )


def recording_rules() -> Tree:
    rules = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    return _tree([{"name": "stapwatch-sums", "rules": rules}])


def text(tree: Tree) -> str:
    """The file, for people to read."""
    return _HEADER + yaml.safe_dump(tree, sort_keys=False, width=_WIDTH, allow_unicode=True)


def _tree(groups: Iterable[dict[str, Any]]) -> Tree:
    return {"groups": list(groups)}
