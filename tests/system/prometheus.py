# SPDX-License-Identifier: GPL-2.0-or-later
"""A Prometheus server: what it has stored of the agent's pages.

Prometheus(9090).query("up + 0")                    -> {"{}": 1.0}
with Scraper(image, folder, port, authority).running() as prometheus:  # of this machine
    prometheus.counted("stapwatch_calls_getppid_total")   -> 4711.0
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab import Image
from tests.system.service import wait_for

SCRAPE = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: stapwatch
    scheme: {scheme}
    tls_config: {{ca_file: {authority}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """Its HTTP API; `port` on the host."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def query(self, text: str, at: float | None = None) -> dict[str, float]:
        """An instant vector: labels without `job` and `instance`, as text -> value. `at`: seconds since 1970."""
        found = {}
        for item in self._result(text, at):
            labels = {k: v for k, v in item["metric"].items() if k not in ("job", "instance")}
            found[json.dumps(labels, sort_keys=True)] = float(item["value"][1])
        return found

    def history(self, series: str) -> list[tuple[float, float]]:
        """All samples of one series of the last hour: (seconds since 1970, value)."""
        found = self._result(f"{series}[1h]")
        assert len(found) <= 1, f"{series} stands for {len(found)} series"
        return [(float(at), float(value)) for item in found for at, value in item["values"]]

    def counted(self, series: str) -> float:
        """What a counter has counted since its first page, resets included: exact, unlike increase()."""
        values = [value for _, value in self.history(series)]
        steps = (b - a if b >= a else b for a, b in pairwise(values))
        return values[0] + sum(steps) if values else 0.0

    def resets(self, series: str, since: float) -> float:
        """Prometheus's own count from the sample at `since` to the newest one."""
        last = self.history(series)[-1][0]
        window = round(1000 * (last - since))
        return sum(self.query(f"resets({series}[{window}ms])", last).values()) if window else 0.0

    def ready(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self._url}/-/ready", timeout=60))
        except OSError:
            return False

    def _result(self, text: str, at: float | None = None) -> list[dict[str, Any]]:
        words = {"query": text} | ({} if at is None else {"time": f"{at:.3f}"})
        address = f"{self._url}/api/v1/query?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(address, timeout=60) as response:
            tree = json.load(response)
        assert tree["status"] == "success"
        return list(tree["data"]["result"])

    def rules(self) -> list[dict[str, Any]]:
        """The groups of rules, with their health and state."""
        with urllib.request.urlopen(f"{self._url}/api/v1/rules", timeout=60) as response:
            return list(json.load(response)["data"]["groups"])

    def targets(self) -> list[dict[str, str]]:
        with urllib.request.urlopen(f"{self._url}/api/v1/targets", timeout=60) as response:
            return list(json.load(response)["data"]["activeTargets"])


class Scraper(Prometheus):
    """A Prometheus of this machine, whose clock is not the guest's. It scrapes `port` of this machine.

    `image`: where the program is. `authority`: the certificate that a server's must be signed with.
    """

    def __init__(self, image: Image, folder: Path, port: int, authority: Path) -> None:
        self._here = free_port()
        super().__init__(self._here)
        self._program = image.rootfs / "usr/bin/prometheus"
        self._folder, self._port, self._authority = folder, port, authority
        self._config = folder / "prometheus.yml"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Scraper:
        self._configure("http")
        argv = [str(self._program), f"--config.file={self._config}", "--log.level=error"]
        argv += [f"--storage.tsdb.path={self._folder / 'tsdb'}"]
        self._process = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{self._here}"])
        wait_for(self.ready, "Prometheus")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def scrape_by(self, scheme: str) -> None:
        """`http` or `https`, from the next scrape on."""
        assert self._process is not None
        self._configure(scheme)
        self._process.send_signal(signal.SIGHUP)

    def _configure(self, scheme: str) -> None:
        text = SCRAPE.format(scheme=scheme, authority=self._authority, port=self._port)
        self._config.write_text(text)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
