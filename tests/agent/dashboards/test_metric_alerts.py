# SPDX-License-Identifier: GPL-2.0-or-later
"""Alerts that the configuration declares beside a metric: each fires above or below its threshold, and not else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import load
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.dashboards import files
from agent.dashboards.alerts import Alert
from agent.dashboards.files import Format
from agent.dashboards.metric_alerts import alerts
from agent.exposition.families import plan
from runtime.abi.manifest import Table
from tests.agent import values
from tests.agent.dashboards import exported
from tests.agent.dashboards.promtool import check_rules, run_rule_tests

AT = 'job="j",instance="i"'


def declared(table: Table, text: str) -> tuple[list[Alert], list[str]]:
    """Of a script `s` with one global."""
    given = (
        f"script_folders: []\nscripts: {{s: {{text: x, metrics: {{{table.name}: {{{text}}}}}}}}}"
    )
    metrics = load.loads(given).scripts["s"].metrics
    families, _ = plan([("s", values.manifest(table), metrics)], SelfMetrics(Health(), {}).names())
    found, wrong = alerts("s", families, metrics)
    return list(found), list(wrong)


READS = values.number("reads", "process")
DEPTH = values.number("depth", "queue", monotonic=False)
WAIT = values.statistic("wait_ns", "device")
SIZE = values.statistic("size", "kind", histogram=None)
BUCKETS = [
    f'stapwatch_s_wait_seconds_bucket{{{AT},device="a",le="{le}"}}' for le in ("0.5", "1", "+Inf")
]
# A global, its alert, series that make it fire, and series that do not.
CASES = {
    "rate above": (
        READS, "alert: {above: 2}",
        {f'stapwatch_s_reads_total{{{AT},process="a"}}': "0+180x30"},
        {f'stapwatch_s_reads_total{{{AT},process="{p}"}}': "0+90x30" for p in "ab"},
    ),
    "rate below": (
        READS, "alert: {below: 2, of: rate, for: 1m}",
        {f'stapwatch_s_reads_total{{{AT},process="a"}}': "0+60x30"},
        {f'stapwatch_s_reads_total{{{AT},process="a"}}': "0+180x30"},
    ),
    "gauge above": (
        DEPTH, "alert: {above: 10, for: 0}",
        {f'stapwatch_s_depth{{{AT},queue="a"}}': "0x28 11"},
        {f'stapwatch_s_depth{{{AT},queue="a"}}': "11x20 10x20"},
    ),
    "gauge below": (
        DEPTH, "alert: {below: 0.5}",
        {f'stapwatch_s_depth{{{AT},queue="a"}}': "0x30"},
        {f'stapwatch_s_depth{{{AT},queue="a"}}': "1x30"},
    ),
    "quantile above": (
        WAIT, "alert: {above: 0.5, of: p90}",
        dict(zip(BUCKETS, ("0+60x30", "0+120x30", "0+120x30"), strict=True)),
        dict(zip(BUCKETS, ("0+119x30", "0+120x30", "0+120x30"), strict=True)),
    ),
    "mean above": (
        SIZE, "alert: {above: 100}",
        {f'stapwatch_s_size_{e}{{{AT},kind="a"}}': v for e, v in (("sum", "0+6600x30"), ("count", "0+60x30"))},
        {f'stapwatch_s_size_{e}{{{AT},kind="a"}}': v for e, v in (("sum", "0+6000x30"), ("count", "0+60x30"))},
    ),
    "events above": (
        WAIT, "alert: {above: 1.5, of: rate}",
        dict(zip(BUCKETS, ("0+60x30", "0+120x30", "0+120x30"), strict=True)),
        dict(zip(BUCKETS, ("0+60x30", "0+60x30", "0+60x30"), strict=True)),
    ),
}  # fmt: skip


@pytest.mark.host
@pytest.mark.parametrize("case", CASES)
def test_it_fires_above_or_below_and_not_else(case: str, tmp_path: Path) -> None:
    table, text, fires, silent = CASES[case]
    [alert], wrong = declared(table, text)
    assert wrong == []
    rule = {"alert": "X", "expr": alert.expr, "for": alert.wait}
    rules = yaml.safe_dump({"groups": [{"name": "x", "rules": [rule]}]})
    run_rule_tests(tmp_path, rules, [_test(fires, 1), _test(silent, 0)])
    with pytest.raises(AssertionError, match="FAILED"):
        run_rule_tests(tmp_path, rules, [_test(fires, 0)])


def _test(series: dict[str, str], count: int) -> dict[str, Any]:
    expr = 'count(ALERTS{alertstate="firing"}) or vector(0)'
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [
            {"expr": expr, "eval_time": "29m", "exp_samples": [{"labels": "{}", "value": count}]}
        ],
    }


def test_names_waits_and_texts() -> None:
    [alert], _ = declared(READS, "alert: {above: 2}")
    assert (alert.name, alert.wait, alert.severity) == ("StapwatchSReadsRateAbove", "5m", "warning")
    assert alert.summary == "rate of stapwatch_s_reads is above 2 on {{ $labels.instance }}"
    [first, second], _ = declared(
        WAIT,
        "help: 'a {{.}} b', alert: [{above: 1e-3, of: p99.9, for: 90s, name: Slow, summary: x, severity: info,"
        " runbook: 'https://x'}, {below: 1, of: mean, for: 0}]",
    )
    assert (first.name, first.wait, first.severity, first.summary) == ("Slow", "90s", "info", "x")
    assert first.runbook == "https://x" and first.expr.startswith("histogram_quantile(0.999, ")
    assert first.expr.endswith(" > 0.001") and 'a {{"{{"}}.}} b' in first.description
    assert (second.name, second.wait) == ("StapwatchSWaitSecondsMeanBelow", "0m")


def test_what_cannot_be() -> None:
    """The type follows from the script, so only the command sees these."""
    for table, text, message in (
        (
            WAIT,
            "alert: {above: 1}",
            "an alert for a histogram is of rate, mean, a quantile; say which",
        ),
        (READS, "alert: {above: 1, of: p99}", "an alert for a counter is of rate"),
        (values.string("name"), "type: info, alert: {above: 1}", "there are no alerts for an info"),
        (READS, "export: false, alert: {above: 1}", "'reads' is not exported, so it has no alerts"),
    ):
        if "type: info" in text:
            with pytest.raises(load.ConfigError, match=message):
                declared(table, text)
            continue
        found, wrong = declared(table, text)
        assert found == [] and message in wrong[0] and "stapwatch.yaml:2:" in wrong[0]


def test_members_of_one_family_have_alerts_of_their_own() -> None:
    made = files.make(exported.odd(), Format.RULES, "docs/alerts.md")
    groups = {g["name"]: g["rules"] for g in yaml.safe_load(made.texts["alerts.yaml"])["groups"]}
    [rule] = groups["stapwatch-script-other"]
    assert rule["expr"] == (
        'sum by (job, instance, who, who_else) (rate(stapwatch_shared_total{who="other"}[5m])) > 5'
    )
    many = next(r for r in groups["stapwatch-script-odd"] if "Many" in r["alert"])
    assert "by (job, instance, exported_job, exported_instance)" in many["expr"]
    depth = next(r for r in groups["stapwatch-script-odd"] if "Depth" in r["alert"])
    assert depth["annotations"]["runbook_url"] == "https://wiki.example.org/depth"
    anchor = "docs/alerts.md#alerts-of-your-own-metrics"
    assert rule["annotations"]["runbook_url"] == anchor


@pytest.mark.host
def test_promtool_takes_all_of_them(tmp_path: Path) -> None:
    made = files.make(exported.odd(), Format.RULES, "https://x.example.org/it's")
    (tmp_path / "alerts.yaml").write_text(made.texts["alerts.yaml"])
    check_rules(tmp_path / "alerts.yaml")
