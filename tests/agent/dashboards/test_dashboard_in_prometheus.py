# SPDX-License-Identifier: GPL-2.0-or-later
"""Every expression of every dashboard and rule, in a Prometheus that has scraped two hosts: one loses everything that
can be lost, and the other nothing."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.dashboards import files
from agent.dashboards.alerts import ALERTS
from agent.dashboards.files import Format
from agent.dashboards.rules import RECORDED
from agent.exposition.render import Format as PageFormat
from tests.agent.dashboards import exported
from tests.agent.dashboards.boards import expressions, filled, notes
from tests.agent.dashboards.exporting_host import ExportingHost, served
from tests.agent.pages import check
from tests.system.prometheus import Prometheus, free_port
from tests.system.service import wait_for

pytestmark = pytest.mark.host

SOUND, LOSING = "sound", "losing"
SCRIPTS = [*exported.examples(), *exported.odd()]
BOARDS = {
    Path(name).stem: json.loads(text)
    for name, text in files.make(SCRIPTS, Format.GRAFANA, "docs/alerts.md").texts.items()
}
# Panels without a series on a host where nothing is wrong, as their descriptions say.
EMPTY_IF_SOUND = {
    ("stapwatch-fleet", "Hosts that it breaks"),
    ("stapwatch-fleet", "Disarms"),
    ("stapwatch-fleet", "Prepared kernels"),
    ("stapwatch-fleet", "Scripts that fail for one"),
    ("stapwatch-fleet", "Hosts by state of a store"),
    ("stapwatch-fleet", "Age of the last look"),
    ("stapwatch-fleet", "Refused"),
}
# It counts the hosts on which a revision runs.
EMPTY_IF_LOSING = {("stapwatch-fleet", "Progress")}
# Panels that are 0 where nothing is lost, and more where everything is.
LOSSES = {
    *("Not in these numbers", "Hits that are missing", "Not in the log", "Missing in numbers"),
    *("Missing in logs", "Hosts with incomplete numbers", "Full arrays", "Left out of pages"),
    *("Losses", "Disarms", "Log lines over the budget"),
}
# Expressions of such panels that stay 0 here.
NEVER_HERE = ("stapwatch_negative_counters", "stapwatch_script_unsettled_elements")


# Alerts without a wait, which are there for the host that loses.
FIRING = {
    *("StapwatchScriptQuarantined", "StapwatchScriptDisarmed", "StapwatchNumbersIncomplete"),
    *("StapwatchArrayFull", "StapwatchStoreRefused"),
}


class Scraped:
    """What Prometheus knew `at` a time, seconds since 1970, at which it had scraped both hosts and looked at the rules."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus, self.at = prometheus, 0.0
        self.rules: list[dict[str, Any]] = []

    def query(self, expr: str) -> dict[str, float]:
        return self._prometheus.query(expr, self.at)

    def is_all_there(self) -> bool:
        self.at = time.time()
        scrapes = self.query("min(count_over_time(up[1h])) * min(up)")
        is_scraped = min(scrapes.values(), default=0) >= 4
        if not is_scraped or not firing(self) >= FIRING or not all(map(self.query, RECORDED)):
            return False
        self.rules = [rule for group in self._prometheus.rules() for rule in group["rules"]]
        return True


def firing(scraped: Scraped) -> set[str]:
    found = scraped.query('count by (alertname) (ALERTS{alertstate="firing"})')
    return {json.loads(labels)["alertname"] for labels in found}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("prometheus")
    files.write(files.make(SCRIPTS, Format.RULES, "docs/alerts.md").texts, folder)
    port = free_port()
    argv = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", "--log.level=error"]
    argv += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with ExitStack() as serving:
        jobs = []
        for name, loses in ((SOUND, False), (LOSING, True)):
            (folder / name).mkdir()
            host = ExportingHost(name, SCRIPTS, folder / name, loses=loses)
            check(host.page(), PageFormat.TEXT)
            address = f"127.0.0.1:{serving.enter_context(served(host))}"
            jobs.append({"targets": [address], "labels": {"instance": name}})
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml", "rules.yaml"],
            "scrape_configs": [{"job_name": "stapwatch", "static_configs": jobs}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        process = subprocess.Popen(argv)
        try:
            found = Scraped(Prometheus(port))
            wait_for(found._prometheus.ready, "Prometheus")
            wait_for(found.is_all_there, "each host is scraped four times, and alerts fire")
            serving.close()
            yield found
        finally:
            process.terminate()
            process.wait()


def cases() -> list[Any]:
    found = [
        pytest.param(name, title, expr, id=f"{name}-{number}")
        for name, board in sorted(BOARDS.items())
        for number, (title, expr) in enumerate(expressions(board))
    ]
    assert len(found) > 200
    return found


@pytest.mark.parametrize(("board", "title", "expr"), cases())
def test_a_panel_shows_what_it_should(scraped: Scraped, board: str, title: str, expr: str) -> None:
    sound, losing = (list(scraped.query(filled(expr, i)).values()) for i in (SOUND, LOSING))
    assert all(map(math.isfinite, (*sound, *losing)))
    assert bool(sound) is ((board, title) not in EMPTY_IF_SOUND)
    assert bool(losing) is ((board, title) not in EMPTY_IF_LOSING)
    if title in LOSSES and not any(name in expr for name in NEVER_HERE):
        assert not any(sound) and any(losing)


def test_the_tables_are_of_panels_that_are_there() -> None:
    found = {(name, title) for name, board in BOARDS.items() for title, _ in expressions(board)}
    assert found >= EMPTY_IF_SOUND | EMPTY_IF_LOSING
    assert {title for _, title in found} >= LOSSES


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_annotations(scraped: Scraped, board: str) -> None:
    """Those that have their time as a value are in milliseconds."""
    for name, expr in notes(BOARDS[board]):
        sound, losing = (scraped.query(filled(expr, i)) for i in (SOUND, LOSING))
        assert losing and bool(sound) is (name != "Disarms"), name
        if name in ("Reloads", "Starts"):
            assert set(losing.values()) == {1_700_000_000_000.0}


def test_alerts_fire_for_the_host_that_is_not_well(scraped: Scraped) -> None:
    """Prometheus has found no error in any rule, nor in a text."""
    assert {rule["health"] for rule in scraped.rules} == {"ok"}
    texts = [str(alert["annotations"]) for r in scraped.rules for alert in r.get("alerts", ())]
    assert texts and not [text for text in texts if "error expanding" in text]
    names = "|".join(alert.name for alert in ALERTS)
    assert scraped.query(f'ALERTS{{instance="{SOUND}", alertname=~"{names}"}}') == {}
