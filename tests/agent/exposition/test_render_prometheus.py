# SPDX-License-Identifier: GPL-2.0-or-later
"""Real Prometheus servers scrape the pages: Debian 12's, and sid's with sid's archive at hand.

A known load is counted in three parts, with a new agent between them, by a module that was started an hour ago.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.agent.exposition import sid_prometheus
from tests.agent.exposition.scraped import Scraped

SERVERS: dict[str, Callable[[], str | Path | None]] = {
    "packaged": lambda: shutil.which("prometheus"),
    "sid": sid_prometheus.program,
}
NATIVE = "native-histograms"
CREATED = "created-timestamp-zero-ingestion"
FEATURES = {
    "text": "",
    "protobuf": NATIVE,
    "created": f"{NATIVE},{CREATED}",
    "openmetrics": CREATED,
}
ONLY_SID = ("created", "openmetrics")
DEADLINE = 120.0


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def value(self, expression: str) -> float | None:
        """The value of the only series that there is."""
        found = self.ask(expression)
        return float(found[0]["value"][1]) if found else None

    def ask(self, expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
        return found

    def wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if condition():
                    return
            except OSError:
                pass  # it does not listen yet
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)


@pytest.fixture
def scraped() -> Iterator[Scraped]:
    page = Scraped()
    yield page
    page.close()


@pytest.fixture(
    params=[
        pytest.param((server, features), id=f"{server}-{features}")
        for server in SERVERS
        for features in FEATURES
        if server == "sid" or features not in ONLY_SID
    ]
)
def server(
    request: pytest.FixtureRequest, scraped: Scraped, tmp_path: Path
) -> Iterator[tuple[Server, bool]]:
    """With whether it scrapes protobuf."""
    name, features = request.param
    program = SERVERS[name]()
    if program is None:
        pytest.skip(f"no {name} prometheus")
    targets = [f"127.0.0.1:{scraped.port}"]
    job: dict[str, Any] = {"job_name": "a", "static_configs": [{"targets": targets}]}
    if features == "openmetrics":  # else it prefers protobuf, for the start times
        job["scrape_protocols"] = ["OpenMetricsText1.0.0"]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [job],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [str(program), f"--config.file={tmp_path / 'prometheus.yml'}"]
    argv += [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    if FEATURES[features]:
        argv.append(f"--enable-feature={FEATURES[features]}")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    yield Server(process, port, tmp_path / "log"), NATIVE in FEATURES[features]
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    process.wait(60)


def test_a_known_load(server: tuple[Server, bool], scraped: Scraped) -> None:
    prometheus, protobuf = server
    chosen = random.Random(1)
    load = [int(chosen.lognormvariate(14, 1.5)) for _ in range(3000)]
    load += [0, 1, 1 << 20, 1 << 40]
    for part in (load[:1000], load[1000:2500], load[2500:]):
        before = prometheus.value("stapwatch_app_hits_total") if scraped.served else None
        scraped.count(part)
        wanted = len(part) + (before or 0)
        prometheus.wait(lambda w=wanted: prometheus.value("stapwatch_app_hits_total") == w)  # type: ignore[misc]
        scraped.restart()
    at = [f"{number}" for number in (0.1, 0.5, 0.9, 0.99)]
    ordered = sorted(load)
    names = {"classic": 1.0}
    if protobuf:
        names |= {"coarse": 1.0, "fine": 1 / 8}
    for name, octaves in names.items():
        metric = f"stapwatch_app_{name}_seconds"
        series = metric if name != "classic" else f"{metric}_bucket"
        for quantile in at:
            exact = ordered[int(float(quantile) * len(ordered))] / 1e9
            found = prometheus.value(f"histogram_quantile({quantile}, {series})")
            assert found is not None
            assert exact / 2**octaves <= found <= exact * 2**octaves, (name, quantile)
    assert prometheus.value("resets(stapwatch_app_hits_total[1h])") == 0
    if (started := prometheus.value("stapwatch_app_hits_created")) is not None:
        assert started == pytest.approx(scraped.started_ns / 1e9)
    for metric in ["classic"] if not protobuf else []:
        assert prometheus.value(f"stapwatch_app_{metric}_seconds_count") == len(load)
    if protobuf:
        for name, count in {
            "coarse": len(load),
            "fine": len(load),
            "signed": 2 * len(load),
        }.items():
            metric = f"stapwatch_app_{name}_seconds"
            assert prometheus.value(f"histogram_count({metric})") == count
            assert prometheus.value(f"resets({metric}[1h])") == 0
            grown = prometheus.value(f"histogram_count(increase({metric}[1h]))")
            assert grown is not None and 2004 <= grown <= 1.5 * count
        total = prometheus.value("histogram_sum(stapwatch_app_fine_seconds)")
        assert total == pytest.approx(sum(load) / 1e9)
        median = prometheus.value("histogram_quantile(0.5, stapwatch_app_signed_seconds)")
        assert median is not None and abs(median) < statistics.median(load) / 1e9
    elif not prometheus.ask("stapwatch_app_fine_seconds_bucket"):
        raise AssertionError("without native histograms, there are classic ones")
