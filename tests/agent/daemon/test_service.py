# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as a whole: in this process with a stand-in kernel, and as a separate process."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from agent.daemon.service import Service
from agent.exposition.render import Format
from tests import PROJECT
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.pages import parsed
from tests.agent.standin import StandInKernel

PATIENCE = 60.0


def configure(folder: Path, text: str = "", **scripts: str) -> Path:
    """Write a configuration file with scripts in its own folder."""
    probes = folder / "probes.d"
    probes.mkdir(exist_ok=True)
    for old in probes.iterdir():
        old.unlink()
    for name, script in scripts.items():
        (probes / f"{name}.stp").write_text(script)
    path = folder / "stapwatch.yaml"
    path.write_text(
        f"script_folders: [probes.d]\nwork_folder: run\ncache_folder: cache\n{text}"
        + ("" if "listen" in text else '\nlisten: ["127.0.0.1:0"]\n')
    )
    return path


class Agent:
    """A service in this process."""

    def __init__(self, service: Service, kernel: StandInKernel) -> None:
        self.service, self.kernel = service, kernel

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        url = f"http://{self.service.addresses[0]}{path}"
        return await asyncio.to_thread(fetch, url, headers)

    async def metric(self, name: str) -> float | None:
        _, _, body = await self.get("/metrics")
        for family in parsed(body, Format.TEXT).values():
            for sample in family.samples:
                if sample.name == name:
                    return sample.value
        return None

    async def ready(self) -> None:
        await until(lambda: self.service.addresses)
        while (await self.get("/-/ready"))[0] != 200:
            await asyncio.sleep(0.01)


def fetch(url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Agent]:
    kernel = StandInKernel()
    service = Service(path, (), kernel, standin.compiler)
    task = asyncio.create_task(service.run())
    agent = Agent(service, kernel)
    try:
        await agent.ready()
        yield agent
    finally:
        service.stop()
        assert await task == 0
        assert kernel.loaded == {}


def test_pages(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, good="ok 1", evil="bad <script>")

    async def work() -> None:
        async with serving(path) as agent:
            device = next(iter(agent.kernel.devices.values()))
            device.count(42)
            status, headers, body = await agent.get("/metrics")
            assert (
                status == 200
                and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            )
            assert b"\nstapwatch_good_hits_total 42\n" in body
            checked = subprocess.run(
                ["promtool", "check", "metrics"], input=body, capture_output=True, check=False
            )
            assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
            families = parsed(body, Format.TEXT)
            assert {
                tuple(sorted(s.labels.items()))
                for s in families["stapwatch_script_state"].samples
                if s.value
            } == {
                (("script", "evil"), ("state", "failed")),
                (("script", "good"), ("state", "running")),
            }
            accept = "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
            status, headers, body = await agent.get(
                "/metrics", **{"Accept": accept, "Accept-Encoding": "gzip"}
            )
            assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            assert "stapwatch_good_hits" in parsed(gzip.decompress(body), Format.OPENMETRICS)
            assert (await agent.get("/-/healthy"))[0] == 200
            assert (await agent.get("/nothing"))[0] == 404
            _, headers, body = await agent.get("/")
            assert (
                headers["Content-Type"].startswith("text/html")
                and b"good" in body
                and b"<script>" not in body
            )
            tree = json.loads((await agent.get("/status"))[2])
            assert [(s["name"], s["state"]) for s in tree["scripts"]] == [
                ("evil", "failed"),
                ("good", "running"),
            ]

    run(work())


def test_a_broken_configuration_leaves_all_as_it_is(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            before = list(agent.kernel.done)
            good = path.read_text()
            succeeded = await agent.metric("stapwatch_config_last_reload_success_timestamp_seconds")
            path.write_text(good + "lissten: []\n")
            agent.service.reload()
            await until(lambda: any("unknown key 'lissten'" in text for text in lines.texts))
            assert await agent.metric("stapwatch_config_last_reload_successful") == 0
            assert (
                await agent.metric("stapwatch_config_last_reload_success_timestamp_seconds")
                == succeeded
            )
            assert agent.kernel.done == before
            assert b"did you mean" in (await agent.get("/"))[2]
            path.write_text(good + "log: {level: debug}\n")
            (tmp_path / "probes.d/b.stp").write_text("ok 1")
            agent.service.reload()
            await until(lambda: len(agent.kernel.loaded) == 2)
            assert await agent.metric("stapwatch_config_last_reload_successful") == 1
            assert agent.kernel.done[: len(before)] == before
            assert not any(entry.startswith("stop") for entry in agent.kernel.done)

    run(work())


def test_a_taken_port_keeps_the_old_one(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                port = taken.getsockname()[1]
                path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
                agent.service.reload()
                await until(lambda: any("already in use" in text for text in lines.texts))
            assert await agent.metric("stapwatch_config_last_reload_successful") == 0
            agent.service.reload()
            await until(lambda: agent.service.addresses[0].port == port)
            assert await agent.metric("stapwatch_config_last_reload_successful") == 1

    run(work())


def test_a_real_prometheus_stores_the_series(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            next(iter(agent.kernel.devices.values())).count(123_456)
            with prometheus(tmp_path, str(agent.service.addresses[0])) as url:
                query = f"{url}/api/v1/query?query=stapwatch_a_hits_total"
                while True:
                    try:
                        _, _, body = await asyncio.to_thread(fetch, query, {})
                        result = json.loads(body)["data"]["result"]
                    except (OSError, ValueError):
                        result = []
                    if result:
                        break
                    await asyncio.sleep(0.1)
                assert result[0]["value"][1] == "123456"
                _, _, body = await asyncio.to_thread(fetch, f"{url}/api/v1/targets", {})
                target = json.loads(body)["data"]["activeTargets"][0]
                assert (target["health"], target["lastError"]) == ("up", "")

    run(work())


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"- {{job_name: stapwatch, static_configs: [{{targets: ['{target}']}}]}}\n"
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def process(*args: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        [sys.executable, "-P", "-m", "agent", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(PROJECT), **env},
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait(PATIENCE)
        for stream in (started.stdout, started.stderr):
            assert stream is not None
            stream.close()


def ended(started: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, errors = started.communicate(timeout=PATIENCE)
    return started.returncode, errors.decode()


def test_systemd_hears_of_everything(tmp_path: Path) -> None:
    """The real agent: without headers or modules its script fails, and it serves and reports the reason."""
    path = configure(tmp_path, broken="probe begin { nosuch() }")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)

        def heard(word: str) -> str:
            while True:
                text = systemd.recv(4096).decode()
                if word in text:
                    return text

        watchdog = {"WATCHDOG_USEC": "500000", "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with process("agent", "--config", str(path), **watchdog) as agent:
            assert heard("READY=1") == "READY=1\nSTATUS=1 failed"
            heard("WATCHDOG=1")
            status = subprocess.run(
                [sys.executable, "-m", "agent", "status", "--config", str(path)],
                capture_output=True, text=True, cwd=PROJECT, timeout=PATIENCE, check=False,
            )  # fmt: skip
            assert status.returncode == 1
            assert "broken  failed" in status.stdout and "nosuch" in status.stdout
            agent.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in heard("RELOADING=1")
            heard("READY=1")
            path.write_text("x: 1\n")
            agent.send_signal(signal.SIGHUP)
            heard("RELOADING=1")
            assert "reload failed" in heard("READY=1")
            agent.send_signal(signal.SIGTERM)
            heard("STOPPING=1")
            status_, errors = ended(agent)
        assert status_ == 0
        entries: list[dict[str, Any]] = [json.loads(line) for line in errors.splitlines()]
        assert entries[-1]["event"] == "stopped"
        assert any("there is no function 'nosuch'" in entry["event"] for entry in entries)
    assert not (tmp_path / "run/control.sock").exists()


def test_a_wrong_configuration_is_status_2(tmp_path: Path) -> None:
    path = configure(tmp_path, "colour: red\nlisten: [x:y]")
    with process("agent", "--config", str(path)) as agent:
        status, errors = ended(agent)
    assert status == 2
    assert errors == (
        f"config error: {path}:4:1: unknown key 'colour'; known here: cache_folder, compile, control_socket, "
        "library, listen, log, script_folders, scripts, work_folder\n"
        f"config error: {path}:5:10: 'y' is not a port; write host:port, as 127.0.0.1:9436\n"
    )


def test_a_taken_port_is_status_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with process("agent", "--config", str(configure(tmp_path)), "--listen", address) as agent:
            status, errors = ended(agent)
    assert status == 1
    assert errors.startswith(
        f"error: cannot listen on {address}: address already in use; see who has it:"
    )


def test_ready_waits_for_the_first_scripts(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, slow="hang")

    async def work() -> None:
        service = Service(path, (), StandInKernel(), standin.compiler)
        task = asyncio.create_task(service.run())
        agent = Agent(service, StandInKernel())
        await until(lambda: service.addresses)
        status, _, body = await agent.get("/-/ready")
        assert (status, body) == (503, b"not ready: scripts are being compiled and loaded\n")
        assert (await agent.get("/-/healthy"))[0] == 200
        assert (await agent.get("/metrics"))[0] == 200
        started = time.monotonic()
        service.stop()
        assert await task == 0
        assert time.monotonic() - started < 30, "stopping does not wait for compilers"

    run(work())
