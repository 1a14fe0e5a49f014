# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Prometheus, Debian's package, scrapes the agent in the guest."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from agent.exposition.render import Format
from lab import Guest, Image
from tests.agent.pages import check
from tests.system.prometheus import Prometheus
from tests.system.service import Service, wait_for
from tests.system.setting import Setting

PROMETHEUS_PORT = 9090
READS = """\
global reads, asked
probe kernel.function("vfs_read") {
	if (execname() != "trigger") next
	reads[execname()]++
	asked[execname()] <<< $count
}
"""
SCRAPE = """\
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: stapwatch
    static_configs: [{targets: ["127.0.0.1:9436"]}]
"""


@pytest.fixture(scope="module", autouse=True)
def serving(guest: Guest, image: Image, setting: Setting, service: Service) -> None:
    if "prometheus" not in image.suite.extra:
        pytest.skip(f"the image of {image.suite.name} has no Prometheus")
    setting.script("reads", READS)
    setting.compile()
    setting.install(guest)
    service.start()


@pytest.fixture(scope="module")
def prometheus(guest: Guest) -> Iterator[Prometheus]:
    guest.push_text(SCRAPE, "/etc/scrape.yaml")
    argv = ["prometheus", "--config.file=/etc/scrape.yaml", "--storage.tsdb.path=/var/tmp/tsdb"]
    running = guest.start([*argv, f"--web.listen-address=0.0.0.0:{PROMETHEUS_PORT}"])
    running.wait(until=b"Server is ready to receive web requests")
    yield Prometheus(guest.forward(PROMETHEUS_PORT))
    running.kill()
    assert running.wait().status == 0


def test_the_series_are_stored_with_their_exact_values(
    guest: Guest, service: Service, prometheus: Prometheus
) -> None:
    guest.run(["trigger", "sizes", "32", "read", "968"]).check()
    name = "stapwatch_reads_reads_total"
    labels = json.dumps({"execname": "trigger"})
    assert service.value(name, execname="trigger") == 1000

    def stored() -> dict[str, float] | None:
        # the name of a series is not part of a vector that was computed with
        found = prometheus.query(f"{name} + 0")
        return found if found.get(labels) == 1000 else None

    assert wait_for(stored, "the counter in Prometheus") == {labels: 1000}
    # a program that counts on while it is scraped: the next value is exact as well
    guest.run(["trigger", "read", "500"]).check()
    wait_for(lambda: prometheus.query(f"{name} + 0") == {labels: 1500}, "the counter's next value")

    asked = "stapwatch_reads_asked"
    total = 2 * (2**16 - 1) + 968 + 500
    wait_for(lambda: prometheus.query(f"{asked}_sum + 0") == {labels: total}, "the histogram's sum")
    assert prometheus.query(f"{asked}_count + 0") == {labels: 1500}
    infinite = prometheus.query(f'sum by (execname) ({asked}_bucket{{le="+Inf"}})')
    assert infinite == {labels: 1500}
    # 1 and one-byte reads in the first bucket, 2 and 3 in the second
    first = prometheus.query(f'sum by (execname) ({asked}_bucket{{le=~"1(.0)?"}})')
    assert first == {labels: 1470}
    quantile = prometheus.query(f"histogram_quantile(0.999, {asked}_bucket)")
    assert 16384 <= quantile[labels] <= 65536


def test_no_scrape_failed(prometheus: Prometheus) -> None:
    wait_for(lambda: prometheus.query("sum(sum_over_time(up[10m]))")["{}"] >= 3, "three scrapes")
    assert prometheus.query("min(min_over_time(up[10m]))") == {"{}": 1}
    [target] = prometheus.targets()
    assert (target["health"], target["lastError"]) == ("up", "")
    # Prometheus asks for OpenMetrics, and knows our types and texts from it
    assert prometheus.query('stapwatch_script_state{script="reads",state="running"} == 1')


def test_promtool_finds_mistakes() -> None:
    """Where the lab runs, tests/agent/pages.py finds it."""
    check(b"# HELP reads_total Reads.\n# TYPE reads_total counter\nreads_total 1\n", Format.TEXT)
    with pytest.raises(AssertionError, match="promtool: reads counter metrics should have"):
        check(b"# HELP reads Reads.\n# TYPE reads counter\nreads 1\n", Format.TEXT)
