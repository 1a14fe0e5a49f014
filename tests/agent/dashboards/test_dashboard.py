# SPDX-License-Identifier: GPL-2.0-or-later
"""All dashboards of the examples and of odd scripts, panel by panel."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from agent.config.metric_names import claimed
from agent.daemon.losses import LOSSES
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.dashboards import files
from agent.dashboards.alerts import ALERTS
from agent.dashboards.dashboard import uid
from agent.dashboards.files import Format
from agent.dashboards.promql import HERE, equals
from agent.exposition.families import plan
from manual import metrics
from tests.agent.dashboards import exported
from tests.agent.dashboards.boards import expressions, notes, panels
from tests.manual import chapters

SCRIPTS = [*exported.examples(), *exported.odd()]
BOARDS = {
    name: json.loads(text)
    for name, text in files.make(SCRIPTS, Format.GRAFANA, "docs/alerts.md").texts.items()
}
EACH = pytest.mark.parametrize(
    "board", BOARDS.values(), ids=[n.removesuffix(".json") for n in BOARDS]
)
Board = Mapping[str, Any]


def test_there_is_one_for_each_script_the_agents_and_the_fleet() -> None:
    names = {name for name, *_ in SCRIPTS}
    assert {f"stapwatch-script-{name}.json" for name in names} | {
        "stapwatch-agent.json",
        "stapwatch-fleet.json",
    } == set(BOARDS)


def test_the_same_is_made_again_and_uids_are_those_of_names() -> None:
    again = files.make(list(reversed(SCRIPTS)), Format.GRAFANA, "docs/alerts.md").texts
    assert {name: json.loads(text) for name, text in again.items()} == BOARDS
    uids = {name: board["uid"] for name, board in BOARDS.items()}
    assert len(set(uids.values())) == len(BOARDS)
    assert uids["stapwatch-fleet.json"] == uid("fleet") == "stapwatch-5eb2ce291c7d"
    assert all(re.fullmatch(r"[\w-]{1,40}", found) for found in uids.values())


@EACH
def test_every_panel_says_what_it_shows(board: Board) -> None:
    for panel in panels(board):
        title = panel["title"]
        assert title and len(panel["description"]) > 15 and panel["description"].endswith("."), (
            title
        )
        assert panel["fieldConfig"]["defaults"]["unit"], title
        assert panel["targets"] and all(target["legendFormat"] for target in panel["targets"]), (
            title
        )
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        legend = panel["options"].get("legend", {})
        if panel["type"] == "timeseries":
            assert legend["showLegend"] and legend["calcs"], title
        if panel["type"] == "heatmap":
            assert legend["show"] and panel["options"]["yAxis"]["unit"], title


@EACH
def test_every_query_asks_the_chosen_source_for_the_chosen_hosts(board: Board) -> None:
    for panel in panels(board):
        assert panel["datasource"]["uid"] == "${datasource}"
    for title, expr in (*expressions(board), *notes(board)):
        assert expr.count(HERE) == len(re.findall(r"\b(?:stapwatch|process)_\w+\{", expr)), title
        assert expr.count("{") == expr.count(HERE), title
        assert set(re.findall(r"\$(\w+)", expr)) <= {
            "job",
            "instance",
            "script",
            "topk",
            "__rate_interval",
        }


@EACH
def test_variables(board: Board) -> None:
    variables = {v["name"]: v for v in board["templating"]["list"]}
    assert list(variables)[:3] == ["datasource", "job", "instance"] and "topk" in variables
    assert variables["job"]["definition"].startswith("label_values(stapwatch_")
    assert 'job=~"$job"' in variables["instance"]["definition"]
    used = set(re.findall(r"\$(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    assert used - {"datasource"} <= variables.keys()


@EACH
def test_places_do_not_overlap(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@EACH
def test_all_metrics_exist(board: Board) -> None:
    reserved = SelfMetrics(Health(), {}).names()
    families, _ = plan(SCRIPTS, reserved)
    known = {name for f in families for name in claimed(f.name, f.type.value)} | reserved
    known |= {f"{family.name}_sum" for family in metrics.families()}
    for title, expr in expressions(board):
        found = set(re.findall(r"\b(?:stapwatch|process)_\w+", expr))
        assert found and found <= known, title


def test_what_numbers_miss_is_beside_them() -> None:
    """In the first line of each metric, with all reasons that make numbers incomplete, and its own arrays."""
    reasons = [loss.reason for loss in LOSSES if loss.numbers and "array" not in loss.reason]
    seen = 0
    for name, board in BOARDS.items():
        script = name.removeprefix("stapwatch-script-").removesuffix(".json")
        for before, panel in pairwise(board["panels"]):
            if panel["title"] != "Not in these numbers":
                continue
            assert before["gridPos"]["y"] == panel["gridPos"]["y"]
            lost = panel["targets"][0]["expr"]
            assert f'script="{script}", reason=~"{"|".join(reasons)}"' in lost
            seen += 1
    families, _ = plan(SCRIPTS, SelfMetrics(Health(), {}).names())
    assert seen == sum(len({m.script for m in family.members}) for family in families)
    [full] = [
        t["expr"]
        for panel in panels(BOARDS["stapwatch-script-vfs_latency.json"])
        if panel["title"] == "Not in these numbers"
        for t in panel["targets"][1:]
    ]
    assert 'array=~"read_ns|write_ns"' in full


def shown(script: str) -> dict[str, list[str]]:
    """By title; a script may have panels of one title for several metrics."""
    found: dict[str, list[str]] = {}
    for title, expr in expressions(BOARDS[f"stapwatch-script-{script}.json"]):
        found.setdefault(title, []).append(expr)
    return found


def test_names_that_could_be_mixed_up() -> None:
    odd, other = shown("odd"), shown("other")
    # a label of ours that Prometheus renames
    assert any("by (exported_job)" in expr for expr in odd["Rate by exported_job"])
    # one family of two scripts, told apart by a constant label
    assert all('who="other"' in expr for expr in other["Rate by who_else"])
    assert any(r'who="it' in expr and r"\"\x24job\"" in expr for expr in odd["Rate by who_else"])
    # one that is the agent's own is not shown as the script's
    assert not [title for title in shown("probe") if title.startswith("Rate")]
    # in the examples, several globals in one family
    assert shown("vfs_latency")["p99 by operation"] and shown("vfs_latency")["p99 by fstype"]


@pytest.mark.parametrize(
    ("value", "matcher"),
    [
        ('a"b', r'x="a\"b"'),
        ("a\\b\n", r'x="a\\b\n"'),
        ("$job ${job} [[job]]", r'x="\x24job \x24\x7bjob} \x5b\x5bjob]]"'),
    ],
)
def test_values_stay_as_they_are(value: str, matcher: str) -> None:
    assert equals("x", value) == matcher


def plain(expr: str) -> str:
    """Without the choice of hosts and scripts, and with a window of 5 minutes."""
    text = expr.replace("$__rate_interval", "5m").replace(HERE, "")
    text = re.sub(r'(, )?script(=~?)"[^"]*"', "", text)
    text = re.sub(r"\btopk\(\$topk, (.*)\)$", r"\1", text)
    text = re.sub(r"\{(?:, )*", "{", text).replace("{}", "")
    return re.sub(
        r"\bby \(([\w, ]+)\)", lambda m: f"by ({', '.join(sorted(m[1].split(', ')))})", text
    )


def test_the_fleet_s_dashboard_has_the_documented_queries() -> None:
    """Or the alerts have. tests/system/test_fleet.py asks a real fleet some of them."""
    found = [expr for _, expr in expressions(BOARDS["stapwatch-fleet.json"])]
    board = {plain(expr) for expr in (*found, *(alert.expr for alert in ALERTS))}
    path = chapters.FOLDER.parent / "fleet.md"
    lines = [
        line
        for block in chapters.of(path)
        if block.language == "promql"
        for line in block.text.splitlines()
    ]
    assert len(lines) >= 9
    missing = [line for line in lines if not alike(plain(line), board)]
    assert missing == []


def alike(query: str, board: set[str]) -> bool:
    """Whether a panel shows it, or the same by more labels."""
    return any(with_fewer_labels(expr, query) == query for expr in board)


def with_fewer_labels(expr: str, query: str) -> str:
    """The expression, with the labels of the query if it has all of them."""
    mine, theirs = (re.findall(r"by \(([\w, ]+)\)", text) for text in (expr, query))
    if len(mine) == len(theirs) == 1 and set(theirs[0].split(", ")) <= set(mine[0].split(", ")):
        return expr.replace(mine[0], theirs[0])
    return expr
