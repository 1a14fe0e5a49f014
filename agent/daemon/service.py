# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon: connects configuration, supervisor, HTTP server, signals and systemd.

    asyncio.run(Service(Path("stapwatch.yaml")).run()) -> exit status

SIGHUP reloads the configuration; SIGTERM and SIGINT stop all scripts and unload their modules.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from agent import log_sinks
from agent.config import load
from agent.config.load import ConfigError
from agent.config.settings import Address, Settings
from agent.daemon import status_page
from agent.daemon.http_server import Endpoint, ListenError, Request, Response
from agent.daemon.sd_notify import Notifier
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.daemon.supervisor import Supervisor
from agent.exposition.families import Member
from agent.exposition.render import Format, compress, negotiate, wants_gzip
from agent.log_sinks import log
from agent.scripts.compile_client import Compiler
from agent.scripts.kernel_modules import Keeper, Modules
from compiler.version import VERSION
from runtime.reader.device import DeviceError
from runtime.reader.module_loader import can_load_modules
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import TableValues
from runtime.support.footprint import trim_heap
from runtime.support.record import replace

_TICK = 1.0  # seconds between checks for incomplete lines and scripts that ended
_PATIENCE = 60.0  # seconds of start-up time requested from systemd while scripts compile
_SLICE = 0.002  # seconds of rendering before other tasks run
_JSON = "application/json"
_HTML = "text/html; charset=utf-8"


class Service:
    """One agent. `listen` replaces the configuration's addresses."""

    def __init__(
        self,
        path: Path | None = None,
        listen: tuple[Address, ...] = (),
        modules: Modules | None = None,
        make_compiler: Callable[[Settings], Compiler] = lambda settings: Compiler(settings.compile),
    ) -> None:
        self._path = path
        self._listen = listen
        self._notifier = Notifier()
        self._health = Health()
        self._endpoint = Endpoint(self._answer)
        self._metrics = SelfMetrics(self._health, {})
        self._supervisor = Supervisor(
            modules or Modules(keeper=Keeper.AGENT),
            make_compiler,
            self._metrics.names(),
            self._progress,
        )
        self._metrics.scripts = self._supervisor.scripts
        self._applied = False
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._scraping = asyncio.Lock()

    @property
    def addresses(self) -> tuple[Address, ...]:
        return self._endpoint.bound

    async def run(self) -> int:
        """Serve until a signal. The exit status: 0, 2 for a wrong configuration, 1 for other errors."""
        try:
            settings = self._load()
            log_sinks.configure(settings.log)
            await self._endpoint.listen(settings.listen)
            await self._endpoint.listen_unix(settings.control_socket)
        except (ConfigError, ListenError) as error:
            print(error if isinstance(error, ConfigError) else f"error: {error}", file=sys.stderr)
            self._notifier.status(str(error).splitlines()[0])
            await self._endpoint.close()
            return 2 if isinstance(error, ConfigError) else 1
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        self._notifier.start_watchdog()
        self._greet(settings)
        work = [asyncio.create_task(self._work(settings)), asyncio.create_task(self._tick())]
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stop, *work], return_when=asyncio.FIRST_COMPLETED)
        self._notifier.stopping()
        log().info("stopping")
        await self._supervisor.stop()
        for task in [stop, *work]:
            task.cancel()
        results = await asyncio.gather(stop, *work, return_exceptions=True)
        await self._endpoint.close()
        self._notifier.stop_watchdog()
        with contextlib.suppress(OSError):
            settings.control_socket.unlink()
        crashes = [r for r in results if isinstance(r, Exception)]
        for crash in crashes:
            log().critical("the agent failed", exc_info=crash)
        log().info("stopped")
        log_sinks.close()
        return 1 if crashes else 0

    def stop(self) -> None:
        """Do what SIGTERM does."""
        self._stop.set()

    def reload(self) -> None:
        """Do what SIGHUP does."""
        self._reload.set()

    def _load(self) -> Settings:
        settings = load.load(self._path)
        return replace(settings, listen=self._listen) if self._listen else settings

    def _greet(self, settings: Settings) -> None:
        served = ", ".join(f"http://{address}/metrics" for address in self._endpoint.bound)
        log().info(f"stapwatch agent {VERSION} serves {served}", version=VERSION)
        for warning in settings.warnings:
            log().warning(warning)
        if why := can_load_modules():
            log().warning(f"no script can run: {why}")

    async def _work(self, settings: Settings) -> None:
        self._notifier.status(f"compiling {len(settings.scripts)} scripts")
        await self._supervisor.find_orphaned_modules()
        await self._apply(settings)
        trim_heap()
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self._reload_now()
            trim_heap()

    async def _reload_now(self) -> None:
        """Reload the configuration. An error is reported and changes nothing."""
        self._notifier.reloading()
        log().info("reloading")
        try:
            settings = await asyncio.to_thread(self._load)
            await self._endpoint.listen(settings.listen)
        except (ConfigError, ListenError) as error:
            self._health.reload_successful = False
            self._health.reload_error = str(error)
            for line in str(error).splitlines():
                log().error(line)
            first = str(error).splitlines()[0]
            self._notifier.ready(f"reload failed, the old configuration runs on: {first}")
            return
        log_sinks.configure(settings.log)
        for warning in settings.warnings:
            log().warning(warning)
        await self._apply(settings)

    async def _apply(self, settings: Settings) -> None:
        self._health.reload_successful, self._health.reload_error = True, ""
        await self._supervisor.apply(settings)
        self._health.reload_time = time.time()
        self._applied = True
        summary = self._summary()
        self._notifier.ready(summary)
        log().info(f"ready: {summary}")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._supervisor.tick()
            if not self._ready:
                self._notifier.extend(_PATIENCE)

    @property
    def _ready(self) -> bool:
        return self._applied and self._supervisor.settled

    def _progress(self, text: str) -> None:
        self._notifier.status(text)

    def _summary(self) -> str:
        states = Counter(script.state.value for script in self._supervisor.scripts.values())
        return (
            ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no scripts"
        )

    async def _snapshots(self) -> dict[str, Snapshot]:
        """One snapshot of each loaded module; other tasks run in between."""
        found = {}
        for name in list(self._supervisor.scripts):
            script = self._supervisor.scripts.get(name)
            if script is None or script.module is None:
                continue
            with contextlib.suppress(DeviceError):  # missed hits are then those of the last sync
                script.module.device.sync()
            found[name] = script.module.snapshot()
            await asyncio.sleep(0)
        return found

    async def _answer(self, request: Request) -> Response:
        match request.path:
            case "/metrics":
                return await self._scrape(request.headers)
            case "/-/healthy":
                return Response(200, b"healthy\n")
            case "/-/ready" if self._ready:
                return Response(200, b"ready\n")
            case "/-/ready":
                return Response(503, b"not ready: scripts are being compiled and loaded\n")
            case "/":
                return Response(200, status_page.page(await self._status()), _HTML)
            case "/status":
                return Response(200, json.dumps(await self._status()).encode() + b"\n", _JSON)
            case _:
                return Response(404, b"not found; see /\n")

    async def _status(self) -> dict[str, object]:
        return status_page.status(
            self._health,
            self._ready,
            tuple(map(str, self._endpoint.bound)),
            self._supervisor.scripts,
            await self._snapshots(),
        )

    async def _scrape(self, headers: Mapping[str, str]) -> Response:
        started = time.perf_counter()
        form = negotiate(headers.get("accept", ""))
        # The second of two concurrent scrapes waits, and finds most pages cached.
        async with self._scraping:
            parts = await self._render(form)
        extra = {"Vary": "Accept, Accept-Encoding"}
        if wants_gzip(headers.get("accept-encoding", "")):
            parts = [await asyncio.to_thread(compress, parts)]
            extra["Content-Encoding"] = "gzip"
        self._health.scrapes += 1
        self._health.scrape_seconds += time.perf_counter() - started
        return Response(200, parts, form.value, extra)

    async def _render(self, form: Format) -> list[bytes]:
        """The page in a few large parts; other tasks run in between."""
        snapshots = await self._snapshots()
        tables = {
            (name, values.table.name): values
            for name, shot in snapshots.items()
            for values in shot.tables
        }

        def read(member: Member) -> TableValues | None:
            values = tables.get((member.script, member.table.name))
            # A module may just have been replaced, and its table of that name may differ.
            return values if values is not None and values.table == member.table else None

        exposition = self._supervisor.exposition
        parts: list[bytes] = []
        slice_: list[bytes] = []
        end = time.perf_counter() + _SLICE
        for part in exposition.render(read, form):
            slice_.append(part)
            if time.perf_counter() > end:
                parts.append(b"".join(slice_))
                slice_.clear()
                await asyncio.sleep(0)
                end = time.perf_counter() + _SLICE
        self._health.refused = exposition.refused()
        self._metrics.snapshots = snapshots
        slice_.append(self._metrics.render(form))
        self._metrics.snapshots = {}
        return [*parts, b"".join(slice_)]
