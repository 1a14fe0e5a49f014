# SPDX-License-Identifier: GPL-2.0-or-later
"""Each alert fires when it should, and is silent when not: by `promtool test rules`. docs/alerts.md explains each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.cli import main
from agent.daemon.losses import LOSSES
from agent.dashboards import files
from agent.dashboards.alerts import ALERTS, Alert
from agent.dashboards.files import Format
from agent.scripts.script import ScriptState
from manual import metrics
from tests import PROJECT
from tests.agent.cli.test_command import commands
from tests.agent.dashboards import exported
from tests.agent.dashboards.promtool import check_rules, run_rule_tests

DOCS = PROJECT / "docs/alerts.md"
RULES = files.make(exported.odd(), Format.RULES, "docs/alerts.md").texts
LONG = 120  # minutes: more than most alerts wait, and than any range is
LONGER = 8 * 60  # for those that wait for hours
SLOW = ("StapwatchRolloutStalled", "StapwatchStoreStale")
HERE = 'job="stapwatch",instance="web-1",script="vfs"'
Series = dict[str, str]  # values in promtool's notation, by series: one a minute


def state(word: str, value: int = 1) -> Series:
    return {f'stapwatch_script_state{{{HERE},state="{word}"}}': f"{value}x{LONG}"}


def lost(reason: str, values: str) -> Series:
    return {f'stapwatch_lost_total{{{HERE},reason="{reason}"}}': values}


def hosts(count: int, revision: str, word: str, first: int = 0) -> Series:
    return {
        f'stapwatch_script_info{{job="stapwatch",instance="web-{n}",script="vfs",revision="{revision}",'
        f'state="{word}"}}': f"1x{LONGER}"
        for n in range(first, first + count)
    }


def one(name: str, values: str, labels: str = HERE) -> Series:
    return {f"{name}{{{labels}}}": values}


STEADY, GROWING = f"5x{LONG}", f"0+1x{LONG}"
AGENT = 'job="stapwatch",instance="web-1"'
STORE = f'{AGENT},store="https://a.example.org"'
LOADED = one("stapwatch_script_kernel_memory_bytes", f"1000x10 stale _x{LONG}")

# By alert: what makes it fire, and what does not; several of each.
CASES: dict[str, tuple[list[Series], list[Series]]] = {
    "StapwatchScriptFailed": ([state("failed"), state("outdated")], [state("running"), state("failed", 0)]),
    "StapwatchScriptQuarantined": ([state("quarantined")], [state("disarmed"), state("quarantined", 0)]),
    "StapwatchScriptDisarmed": (
        [one("stapwatch_script_disarmed_total", f"0x{LONG - 30} 1x30", f'{HERE},budget="cpu"')],
        [
            one("stapwatch_script_disarmed_total", GROWING, f'{HERE},budget="request"'),
            one("stapwatch_script_disarmed_total", GROWING, f'{HERE},budget="paused"'),
            one("stapwatch_script_disarmed_total", STEADY, f'{HERE},budget="cpu"'),
            one("stapwatch_script_disarmed_total", f"0x30 1x{LONG}", f'{HERE},budget="cpu"'),
        ],
    ),
    "StapwatchOverheadNearBudget": (
        # 5 s of CPU time a minute are 83 % of 0.1 s a second; of two probes together
        [
            {
                **one("stapwatch_probe_cpu_seconds_total", f"0+3x{LONG}", f'{HERE},probe="a"'),
                **one("stapwatch_probe_cpu_seconds_total", f"0+2x{LONG}", f'{HERE},probe="b"'),
                **one("stapwatch_script_cpu_budget_seconds", f"0.1x{LONG}"),
            }
        ],
        [
            {
                **one("stapwatch_probe_cpu_seconds_total", f"0+4x{LONG}", f'{HERE},probe="a"'),
                **one("stapwatch_script_cpu_budget_seconds", f"0.1x{LONG}"),
            },
            one("stapwatch_probe_cpu_seconds_total", f"0+60x{LONG}", f'{HERE},probe="a"'),
        ],
    ),
    "StapwatchNumbersIncomplete": (
        [lost("missed", GROWING), lost("reentrant", f"0x{LONG - 5} 1x5")],
        [lost("missed", STEADY), lost("missed", f"0x20 7x{LONG}"), lost("event", GROWING), lost("array_full", GROWING), lost("array_replaced", GROWING)],
    ),
    "StapwatchProbesNotAttached": (
        [one("stapwatch_script_unplaced_probes", f"2x{LONG}")],
        [one("stapwatch_script_unplaced_probes", f"0x{LONG}")],
    ),
    "StapwatchArrayFull": (
        [one("stapwatch_script_array_dropped_total", GROWING, f'{HERE},array="reads"')],
        [one("stapwatch_script_array_dropped_total", STEADY, f'{HERE},array="reads"')],
    ),
    "StapwatchSeriesLeftOut": (
        [one("stapwatch_script_series_left_out", STEADY)],
        [one("stapwatch_script_series_left_out", f"0x{LONG}"), one("stapwatch_script_series_left_out", "0 7 0 0 _")],
    ),
    "StapwatchOutputLost": (
        [lost("event", GROWING), lost("log_rate", GROWING)],
        [lost("event", STEADY), lost("missed", GROWING)],
    ),
    "StapwatchReloadFailed": (
        [one("stapwatch_config_last_reload_successful", f"0x{LONG}", AGENT)],
        [one("stapwatch_config_last_reload_successful", f"1x{LONG}", AGENT)],
    ),
    "StapwatchAgentDown": (
        [{**LOADED, **one("up", f"1x10 0x{LONG}", AGENT)}],
        [
            {**LOADED, **one("up", f"1x{LONG}", AGENT)},
            one("up", f"0x{LONG}", AGENT),  # it never had a module
            {**LOADED, **one("up", f"0x{LONG}", 'job="stapwatch",instance="web-2"')},
        ],
    ),
    "StapwatchStateNotWritable": (
        [one("stapwatch_state_folder_writable", f"0x{LONG}", AGENT)],
        [one("stapwatch_state_folder_writable", f"1x{LONG}", AGENT)],
    ),
    "StapwatchNextKernelNotReady": (
        [one("stapwatch_prepared_kernel", f"1x{LONG}", f'{AGENT},release="6.1.0-58",state="{w}"') for w in ("failed", "no-headers", "preparing")],
        [one("stapwatch_prepared_kernel", f"1x{LONG}", f'{AGENT},release="6.1.0-58",state="ready"')],
    ),
    "StapwatchRolloutStalled": (
        [{**hosts(3, "a", "running"), **hosts(1, "b", "running", 3)}],
        [
            {**hosts(3, "a", "running"), **hosts(1, "b", "off", 3)},
            hosts(3, "a", "running"),
        ],
    ),
    "StapwatchRolloutBreaksHosts": (
        [
            {**hosts(8, "b", "running"), **hosts(2, "b", "quarantined", 8)} | hosts(20, "a", "running", 10),
        ],
        [
            hosts(9, "b", "running") | hosts(1, "b", "failed", 9),  # one host says nothing of a revision
            hosts(98, "b", "running") | hosts(2, "b", "failed", 98),
            hosts(10, "b", "off"),
        ],
    ),
    "StapwatchStoreRefused": (
        [
            one("stapwatch_store_state", f"1x{LONG}", f'{STORE},state="refused"'),
            one("stapwatch_store_refused_total", GROWING, f'{STORE},reason="digest"'),
        ],
        [
            one("stapwatch_store_state", f"0x{LONG}", f'{STORE},state="refused"'),
            one("stapwatch_store_state", f"1x{LONG}", f'{STORE},state="unavailable"'),
            one("stapwatch_store_refused_total", STEADY, f'{STORE},reason="digest"'),
        ],
    ),
    "StapwatchStoreStale": (
        [one("stapwatch_store_last_success_timestamp_seconds", f"600x{LONGER}", STORE)],
        [one("stapwatch_store_last_success_timestamp_seconds", f"0+60x{LONGER}", STORE)],
    ),
}  # fmt: skip


def test_each_alert_has_cases() -> None:
    assert list(CASES) == [alert.name for alert in ALERTS]
    words = {
        word
        for fires, silent in CASES.values()
        for c in (*fires, *silent)
        for s in c
        for word in re.findall(r'\bstate="([\w-]+)"', s)
    }
    assert words <= {
        *(s.value for s in ScriptState),
        "off",
        "unavailable",
        "refused",
        "ready",
        "no-headers",
        "preparing",
    }


@pytest.mark.host
@pytest.mark.parametrize("name", list(CASES))
def test_it_fires_when_it_should_and_not_else(name: str, tmp_path: Path) -> None:
    """promtool also finds each expectation wrong that says the contrary."""
    fires, silent = CASES[name]
    cases = [*((series, True) for series in fires), *((series, False) for series in silent)]
    right = [rule_test(name, series, is_firing) for series, is_firing in cases]
    run_rule_tests(tmp_path, only(name), right)
    wrong = [rule_test(name, series, not is_firing) for series, is_firing in cases]
    with pytest.raises(AssertionError) as caught:
        run_rule_tests(tmp_path, only(name), wrong)
    assert str(caught.value).count(" exp:") == len(cases)


@pytest.mark.host
def test_promtool_takes_the_files(tmp_path: Path) -> None:
    for name, text in RULES.items():
        (tmp_path / name).write_text(text)
        check_rules(tmp_path / name)


@pytest.mark.host
def test_what_people_read(tmp_path: Path) -> None:
    """The texts with their values, as Alertmanager gets them."""
    expected = {
        "exp_labels": {
            "severity": "warning", "job": "stapwatch", "instance": "web-1", "script": "vfs", "array": "reads",
        },
        "exp_annotations": {
            "summary": "array reads of script vfs on web-1 is full",
            "description": "It has lost 15 updates with new keys in the last 15 minutes. Known keys are counted on.",
            "runbook_url": "docs/alerts.md#stapwatcharrayfull",
        },
    }  # fmt: skip
    [series], _ = CASES["StapwatchArrayFull"]
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "alert_rule_test": [
            {"eval_time": "60m", "alertname": "StapwatchArrayFull", "exp_alerts": [expected]}
        ],
    }
    run_rule_tests(tmp_path, RULES["alerts.yaml"], [test])


def only(name: str) -> str:
    """The file of rules with this one: each takes some time in promtool."""
    groups = yaml.safe_load(RULES["alerts.yaml"])["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["alert"] == name]
    return yaml.safe_dump({"groups": [{"name": "x", "rules": rules}]})


def rule_test(name: str, series: Series, is_firing: bool) -> dict[str, Any]:
    """A test of promtool's: whether the alert fires in the end, for anything."""
    expr = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) > bool 0 or vector(0)'
    wanted, end = {"labels": "{}", "value": int(is_firing)}, LONGER if name in SLOW else LONG
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": f"{end - 1}m", "exp_samples": [wanted]}],
    }


# -- the runbook ----------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", DOCS.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alert_has_a_section_with_what_to_do() -> None:
    found = sections()
    assert set(found) == {*(alert.name for alert in ALERTS), "Alerts of your own metrics"}
    for name, text in found.items():
        assert "```sh\n" in text or name == "Alerts of your own metrics", name


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_runbook_s_address_leads_there(alert: Alert) -> None:
    [rule] = [
        rule
        for group in yaml.safe_load(RULES["alerts.yaml"])["groups"]
        for rule in group["rules"]
        if rule["alert"] == alert.name
    ]
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert (PROJECT / path).exists()
    assert anchor in [title.lower().replace(" ", "-") for title in sections()]
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_commands_in_it_exist() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCS.read_text(), re.M | re.S)
    assert len(blocks) >= len(ALERTS)
    for line in "".join(blocks).splitlines():
        for words in commands(line):
            main.parse(words)


def test_metrics_and_words_in_it_exist() -> None:
    text = DOCS.read_text()
    known = {metrics.shown_name(family) for family in metrics.families()}
    assert set(re.findall(r"\bstapwatch_\w+", text)) <= known
    reasons = {loss.reason for loss in LOSSES}
    assert set(re.findall(r"reason `(\w+)`", text)) <= reasons
