# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as a whole: in this process with a stand-in kernel, and as a separate process."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.cli import status_table
from agent.config.settings import Address
from agent.config.trusted_settings import SWITCH
from agent.daemon.ending import Ending
from agent.daemon.service import Service
from agent.exposition.render import Format
from agent.web.inherited_sockets import InheritedSockets
from runtime.abi.structs import Breach, State
from runtime.reader.device import DeviceError
from runtime.reader.snapshot import Snapshot
from runtime.support import python_module
from tests import PROJECT
from tests.agent import standin
from tests.agent.certificates import Certificates
from tests.agent.conftest import Lines, run, until
from tests.agent.pages import fetched, parsed
from tests.agent.standin import StandInKernel
from tests.agent.web.test_basic_auth import SECRET, header

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
        f"script_folders: [probes.d]\nwork_folder: run\ncache_folder: cache\nstate_folder: state\n{text}"
        + ("" if "listen" in text else '\nlisten: ["127.0.0.1:0"]\n')
    )
    return path


class Agent:
    """A service in this process."""

    def __init__(self, service: Service, kernel: StandInKernel) -> None:
        self.service, self.kernel = service, kernel

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        url = f"http://{self.service.addresses[0]}{path}"
        page = await asyncio.to_thread(partial(fetched, url, PATIENCE, **headers))
        return page.status, page.headers, page.body

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
                and headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            )
            assert b"\nstapwatch_good_hits_total 42\n" in body
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
            assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            assert "stapwatch_good_hits" in parsed(gzip.decompress(body), Format.OPENMETRICS)
            assert (await agent.get("/-/healthy"))[0] == 200
            assert (await agent.get("/nothing"))[0] == 404
            _, headers, body = await agent.get("/")
            assert headers["content-type"].startswith("text/html")
            assert b"<script>" not in body and b"onclick" not in body
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
            assert b"did you mean" in (await agent.get("/status"))[2]
            path.write_text(good + "log: {level: debug}\n")
            (tmp_path / "probes.d/c.stp").write_text("ok 1")
            agent.service.reload()
            await until(lambda: any(text.startswith("ready: 2") for text in lines.texts))
            assert await agent.metric("stapwatch_config_last_reload_successful") == 1
            assert len(agent.kernel.loaded) == 2 and agent.kernel.done[: len(before)] == before
            assert not any(entry.startswith("stop") for entry in agent.kernel.done)

    run(work())


def test_a_restart_serves_every_page_with_all_series(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two agents share a socket of systemd's and a kernel, and clients do not stop asking."""
    kernel = StandInKernel()
    pages: list[bytes] = []
    failures: list[OSError] = []

    async def restarting(number: int) -> Ending:
        return Ending.RESTART

    monkeypatch.setattr("agent.daemon.service.asked", restarting)

    async def scrape(url: str) -> None:
        while True:
            try:
                pages.append((await asyncio.to_thread(fetched, url, PATIENCE)).body)
            except OSError as error:
                failures.append(error)

    async def work() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            held.setblocking(False)
            address = "{}:{}".format(*held.getsockname())
            monkeypatch.setattr(InheritedSockets, "taken", lambda: InheritedSockets([held]))
            path = configure(tmp_path, f'listen: ["{address}"]', a="ok 1", z="ok 1")
            scraping: asyncio.Task[None] | None = None
            for value in (1, 2, 3):
                service = Service(path, (), kernel, standin.compiler)
                running = asyncio.create_task(service.run())
                await until(lambda: service._ready)  # noqa: B023
                for device in kernel.devices.values():
                    device.count(value)
                if scraping is None:
                    scraping = asyncio.create_task(scrape(f"http://{address}/metrics"))
                seen = len(pages)
                await until(lambda: len(pages) > seen + 2)  # noqa: B023
                service.stop(signal.SIGTERM)
                assert await running == 0
                assert len(kernel.loaded) == 2 and kernel.held == set()
            last = Service(path, (), kernel, standin.compiler)
            running = asyncio.create_task(last.run())
            await until(lambda: last._ready)
            assert scraping is not None
            scraping.cancel()
            monkeypatch.setattr("agent.daemon.service.asked", stopping)
            last.stop()
            assert await running == 0 and kernel.loaded == {}

    async def stopping(number: int) -> Ending:
        return Ending.STOP

    run(work())
    assert failures == []
    values = []
    for page in pages:
        found = parsed(page, Format.TEXT)
        values.append([found[f"stapwatch_{name}_hits"].samples[0].value for name in "az"])
    assert [1, 1] in values and [2, 2] in values and [3, 3] in values
    assert values == sorted(values)
    assert sum("2 modules stay loaded" in text for text in lines.texts) == 3


def test_a_crash_of_the_agent_unloads_nothing(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = StandInKernel()

    async def work() -> None:
        service = Service(configure(tmp_path, a="ok 1"), (), kernel, standin.compiler)
        running = asyncio.create_task(service.run())
        await until(lambda: service._ready)
        monkeypatch.setattr(service._supervisor, "tick", lambda: 1 // 0)
        assert await running == 1

    run(work())
    assert len(kernel.loaded) == 1 and kernel.held == set()


def test_unload_as_a_command(tmp_path: Path) -> None:
    """A configuration that is wrong by now keeps nothing loaded."""
    for text in ("", "colour: red"):
        path = configure(tmp_path, text)
        with process("unload", "--config", str(path)) as command:
            output, errors = command.communicate(timeout=PATIENCE)
        assert (command.returncode, output, errors) == (0, b"none is left\n", b"")


def test_arm_as_a_command(tmp_path: Path, lines: Lines) -> None:
    """It is heard on the socket that only root may use, and answers what has come of it."""
    path = configure(tmp_path, "budgets: {pauses: [600]}", a="ok 1")

    def arm(*scripts: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "agent", "arm", "--config", str(path), *scripts],
            capture_output=True, text=True, cwd=PROJECT, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    async def work() -> None:
        async with serving(path) as agent:
            [device] = agent.kernel.devices.values()
            device.breach(Breach.HIT_RATE, 0, 2_000, 1_000)
            await until(lambda: any("it is disarmed" in text for text in lines.texts))
            tree = json.loads((await agent.get("/status"))[2])
            assert tree["scripts"][0]["state"] == "disarmed"
            shown = status_table.table(tree, time.time())
            assert "disarmed" in shown and "had 2,000 hits a second" in shown
            status, text = await asyncio.to_thread(arm, "a", "nosuch", "a")
            assert status == 1
            assert text == (
                "script a is armed\nerror: there is no script 'nosuch'; scripts: a\n"
                "error: script a is not disarmed: it is running\n"
            )
            assert device.header().state is State.RUNNING
        assert await asyncio.to_thread(arm, "a") == (
            3,
            f"error: no agent answers at {tmp_path}/run/control.sock: [Errno 2] No such file or directory\n"
            "hint: is it running? systemctl status stapwatch\n",
        )

    run(work())


def test_a_global_with_too_many_series_is_left_out(tmp_path: Path, lines: Lines) -> None:
    """And said everywhere; with a larger budget it is there again."""
    path = configure(tmp_path, "budgets: {series: 1, total: {series: 1}}", a="ok 1", z="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            body = (await agent.get("/metrics"))[2]
            assert b"stapwatch_a_hits_total 0\n" in body and b"stapwatch_z_hits_total" not in body
            assert await agent.metric("stapwatch_script_series_left_out") == 0  # of the first, a
            assert b'stapwatch_script_series_left_out{script="z"} 1.0\n' in body
            assert b'stapwatch_script_complete{script="a"} 1.0\n' in body
            assert b'stapwatch_script_complete{script="z"} 0.0\n' in body
            assert b'stapwatch_lost_total{reason="series",script="z"} 1.0\n' in body
            words = "global 'hits' is served in part: 0 of its 1 series fit the budget series"
            assert sum(words in text for text in lines.texts) == 1, "once, not at each scrape"
            tree = json.loads((await agent.get("/status"))[2])
            assert [words in str(script["problems"]) for script in tree["scripts"]] == [False, True]
            path.write_text(path.read_text().replace("series: 1", "series: 2"))
            agent.service.reload()
            await until(lambda: sum("ready: 2 running" in text for text in lines.texts) == 2)
            assert b"stapwatch_z_hits_total 0\n" in (await agent.get("/metrics"))[2]
            assert any("global 'hits' is served whole again" in text for text in lines.texts)

    run(work())


def test_a_module_that_cannot_be_read_fails_no_scrape(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configure(tmp_path, a="ok 1", z="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            module = agent.service._supervisor.scripts["a"].module
            assert module is not None

            def read(**_: object) -> Snapshot:
                raise DeviceError(errno.EIO, "cannot read module sw_a")

            monkeypatch.setattr(module, "snapshot", read)
            status, _, body = await agent.get("/metrics")
            assert status == 200
            assert b"stapwatch_a_hits_total" not in body and b"stapwatch_z_hits_total 0\n" in body
            assert b'stapwatch_script_complete{script="a"} 0.0\n' in body
            assert b'stapwatch_script_complete{script="z"} 1.0\n' in body

    run(work())


def test_a_log_with_gaps_says_so(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it takes lines again, and once."""
    monkeypatch.setattr("agent.daemon.service._TICK", 0.01)
    full = True
    monkeypatch.setattr(lines, "written", lambda done: not full)

    async def ticks() -> None:
        for _ in range(5):
            await asyncio.sleep(0.01)

    async def work() -> None:
        nonlocal full
        async with serving(configure(tmp_path, a="ok 1")):
            lines.lost = 7
            await ticks()
            told = [text for text in lines.texts if "were lost" in text]
            assert told == []
            full = False
            await until(lambda: "7 log lines were lost: the log was full" in lines.texts)
            await ticks()
            lines.lost = 9
            await until(lambda: "2 log lines were lost: the log was full" in lines.texts)

    run(work())
    assert sum("were lost" in text for text in lines.texts) == 2


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
                await until(lambda: any("not all is in force" in text for text in lines.texts))
            assert any("already in use" in text for text in lines.texts)
            assert await agent.metric("stapwatch_config_last_reload_successful") == 0
            lines.entries.clear()
            agent.service.reload()
            await until(lambda: "ready: 1 running" in lines.texts)
            assert agent.service.addresses == (Address("127.0.0.1", port),)
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
                        page = await asyncio.to_thread(fetched, query)
                        result = json.loads(page.body)["data"]["result"]
                    except (OSError, ValueError):
                        result = []
                    if result:
                        break
                    await asyncio.sleep(0.1)
                assert result[0]["value"][1] == "123456"
                page = await asyncio.to_thread(fetched, f"{url}/api/v1/targets")
                target = json.loads(page.body)["data"]["activeTargets"][0]
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
        [*python_module.command("agent"), *args],
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
        f"config error: {path}:5:1: unknown key 'colour'; known here: allowed_hosts, budgets, "
        "cache_folder, compile, control_socket, created_samples, insecure_files, library, listen, log, module_keys, "
        "module_packages, modules, modules_over_http, public_status, script_folders, scripts, signing, state_folder, web_config_file, work_folder\n"
        f"config error: {path}:6:10: 'y' is not a port; write host:port, as 127.0.0.1:9436\n"
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


def test_a_changed_script_loses_nothing_between_two_pages(tmp_path: Path, lines: Lines) -> None:
    """What the old module counted after its last page comes in the next one, and then the new one's counts."""
    path = configure(tmp_path, a="ok 1", other="ok 1")
    hits = "stapwatch_a_hits_total"

    async def work() -> None:
        async with serving(path) as agent:
            old = next(d for d in agent.kernel.devices.values() if d.name.startswith("sw_a_"))
            old.count(5)
            assert await agent.metric(hits) == 5
            old.count(8)
            (tmp_path / "probes.d" / "a.stp").write_text("ok 2")
            agent.service.reload()
            await until(lambda: old.name not in agent.kernel.loaded)
            new = agent.kernel.devices[
                next(n for n in agent.kernel.loaded if n.startswith("sw_a_"))
            ]
            new.count(2)
            assert [await agent.metric(hits) for _ in range(2)] == [8, 2]
            person = {"User-Agent": "a person"}
            new.count(3)
            assert f"\n{hits} 3\n".encode() in (await agent.get("/metrics", **person))[2]

    run(work())


def test_a_reload_while_a_script_compiles(tmp_path: Path, lines: Lines) -> None:
    """At the start, too: it takes over, and taking the slow script out ends its compile."""
    path = configure(tmp_path, "compile: {jobs: 2}", slow="hang", quick="ok 1")

    async def work() -> None:
        kernel = StandInKernel()
        service = Service(path, (), kernel, standin.compiler)
        task = asyncio.create_task(service.run())
        agent = Agent(service, kernel)
        await until(lambda: service.addresses and kernel.loaded)
        assert (await agent.get("/-/ready"))[0] == 503
        assert await agent.metric("stapwatch_quick_hits_total") == 0
        (tmp_path / "probes.d" / "slow.stp").unlink()
        service.reload()
        await agent.ready()
        assert {text for text in lines.texts if text.startswith("ready")} == {"ready: 1 running"}
        service.stop()
        assert await task == 0


WEB = """\
tls_server_config: {{cert_file: {0}/server.pem, key_file: {0}/server.key}}
basic_auth_users: {{bob: SECRET}}
""".replace("SECRET", SECRET)


def port_of(agent: subprocess.Popen[bytes]) -> int:
    """The port in the agent's first line."""
    assert agent.stderr is not None
    for line in agent.stderr:
        found = re.search(rb"serves https?://127\.0\.0\.1:(\d+)/metrics", line)
        if found:
            return int(found[1])
    raise AssertionError("the agent ended")


def libraries(agent: subprocess.Popen[bytes]) -> set[str]:
    maps = Path(f"/proc/{agent.pid}/maps").read_text()
    return {name for name in ("libssl", "libcrypto") if name in maps}


def resident(agent: subprocess.Popen[bytes]) -> int:
    """KiB."""
    status = Path(f"/proc/{agent.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_tls_is_switched_on_by_a_reload(tmp_path: Path, certificates: Certificates) -> None:
    """Without TLS the agent has no OpenSSL in memory, with it a few megabytes more."""
    path = configure(tmp_path)
    (tmp_path / "web.yaml").write_text(WEB.format(certificates.folder))
    context, login = certificates.client(), header("bob", "secret")
    with process("agent", "--config", str(path), "--listen", "127.0.0.1:0") as agent:
        port = port_of(agent)

        def status(scheme: str, **headers: str) -> int:
            """0: it is not spoken."""
            try:
                url = f"{scheme}://localhost:{port}/metrics"
                return fetched(url, PATIENCE, context, **headers).status
            except OSError:
                return 0

        assert (status("http"), status("https")) == (200, 0)
        assert libraries(agent) == set()
        before = resident(agent)
        path.write_text(f"{path.read_text()}web_config_file: web.yaml\n")
        agent.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while status("https", Authorization=login) != 200:
            assert time.monotonic() < deadline
        assert (status("http"), status("https")) == (0, 401)
        ca = {"SSL_CERT_FILE": str(certificates.authority.cert)}
        url = f"https://bob:secret@localhost:{port}"
        assert stapwatch_status("--url", url, **ca)[:2] == (
            0,
            "no scripts\n",
        )
        status_, _, errors = stapwatch_status("--url", url.replace("secret", "wrong"), **ca)
        assert status_ == 3 and "401 Unauthorized: a user and a password are needed" in errors
        assert "wrong" not in errors
        assert stapwatch_status("--config", str(path))[0] == 0
        assert libraries(agent) == {"libssl", "libcrypto"}
        assert resident(agent) - before < 12 << 10
        agent.terminate()
        assert agent.wait(PATIENCE) == 0


def test_a_second_agent_does_not_take_the_control_socket(tmp_path: Path) -> None:
    path = configure(tmp_path)
    words = ("agent", "--config", str(path))
    with process(*words) as first:
        port_of(first)
        with process(*words) as second:
            status, errors = ended(second)
        assert status == 1
        assert errors.startswith(
            f"error: cannot listen on {tmp_path}/run/control.sock: another agent has it "
            f"(process {first.pid}); stop that one, or give this one a work_folder of its own\n"
        )
        assert stapwatch_status("--config", str(path))[0] == 0
        first.kill()
        first.wait(PATIENCE)
        assert (tmp_path / "run/control.sock").exists()
        with process(*words) as third:  # a dead agent's is taken over
            port_of(third)
            assert stapwatch_status("--config", str(path))[0] == 0
            third.terminate()
            assert third.wait(PATIENCE) == 0
        assert list((tmp_path / "run").iterdir()) == []


def stapwatch_status(*words: str, **variables: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    command = [*python_module.command("agent"), "status", *words]
    env = {**os.environ, "PYTHONPATH": str(PROJECT), **variables}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def test_a_script_that_others_can_change_is_refused_alone(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, good="ok 1", open="ok 2")
    script = tmp_path / "probes.d/open.stp"
    script.chmod(0o666)

    async def work() -> None:
        async with serving(path) as agent:
            tree = json.loads((await agent.get("/status"))[2])
            states = {s["name"]: (s["state"], s["reason"]) for s in tree["scripts"]}
            assert states["good"] == ("running", "")
            assert states["open"] == (
                "failed",
                f"config error: {script}: its file is refused: {script} may be written by its group "
                f"and everybody; chmod g-w,o-w {script}; {SWITCH}",
            )
            script.chmod(0o644)
            agent.service.reload()
            await until(lambda: len(agent.kernel.loaded) == 2)

    run(work())
