# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon: connects configuration, supervisor, HTTP server, signals and systemd.

    asyncio.run(Service(Path("stapwatch.yaml")).run()) -> exit status

SIGHUP reloads the configuration. SIGTERM ends the agent: at a stop it unloads the modules, at a restart it
leaves them for the agent that follows (ending.py). SIGINT is a stop. An agent that starts serves what another
one has left, before it accepts a connection or compiles anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from agent import log_sinks
from agent.config.load import ConfigError
from agent.config.settings import ListenAddress, Settings
from agent.daemon import label_memory, off_switch, privileges
from agent.daemon.ending import Ending, asked, close_port
from agent.daemon.last_readings import LastReading
from agent.daemon.operator_requests import OperatorRequests
from agent.daemon.reload import Loader, Reloader
from agent.daemon.rollout import Rollout
from agent.daemon.sd_notify import Notifier
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.daemon.served_values import ServedValues
from agent.daemon.status_requests import StatusRequests
from agent.daemon.store_metrics import StoreReports
from agent.daemon.supervisor import Supervisor
from agent.exposition.render import Exposition, Format, Reader, compress, negotiate, wants_gzip
from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts.compile_client import Compiler
from agent.scripts.kernel_modules import ModuleError, Modules
from agent.scripts.script import Script
from agent.web import page_files, web_config, web_server
from agent.web.http_server import ListenError, Request, Response
from agent.web.inherited_sockets import InheritedSockets
from agent.web.web_server import WebServer
from compiler.version import VERSION
from runtime.reader.device import DeviceError
from runtime.reader.snapshot import Snapshot

_TICK = 1.0  # seconds between checks for incomplete lines and scripts that ended
_REMEMBER_TICKS = (
    60  # between two times when what is known of labels is written to the state folder
)
_PATIENCE = 60.0  # seconds of start-up time requested from systemd while scripts compile
_LAST_PAGES = 10.0  # seconds for the pages that are being read when the agent ends
_SLICE = 0.002  # seconds of rendering before other tasks run


class Service:
    """One agent. `listen` and `web_config_file` replace the configuration's."""

    def __init__(
        self,
        path: Path | None = None,
        listen: tuple[ListenAddress, ...] = (),
        modules: Modules | None = None,
        make_compiler: Callable[[Settings], Compiler] | None = None,
        off: Callable[[], str] = off_switch.reason,
        web_config_file: Path | None = None,
        insecure_files: bool = False,
    ) -> None:
        self._notifier = Notifier()
        self._health = Health()
        self._server = WebServer(self._answer, InheritedSockets.taken())
        self._endpoint = self._server.endpoint
        self._metrics = SelfMetrics(self._health, {})
        own_modules, own_compiler = privileges.kernel(path)
        self._modules = modules or own_modules
        self._supervisor = Supervisor(
            self._modules,
            make_compiler or own_compiler,
            self._metrics.names(),
            self._progress,
        )
        self._metrics.scripts = self._supervisor.scripts
        self._served = ServedValues(self._supervisor.scripts)
        self._metrics.decode_failures = self._served.labelled.failures
        self._rollout = Rollout(self._supervisor)
        self._metrics.more = self._rollout.metrics
        self._metrics.kernels = self._rollout.kernels
        stores = StoreReports()
        self._metrics.stores = lambda: stores.families(self._supervisor.settings.stores.here)
        parts = (self._rollout, self._supervisor, self._server, self._notifier, self._health)
        loader = Loader(path, listen, web_config_file, insecure_files)
        self._reloader = Reloader(loader, parts, off)
        self._operator = OperatorRequests(self._supervisor, self._rollout, self._reloader)
        self._status = StatusRequests(
            self._supervisor,
            self._rollout,
            self._health,
            self._snapshots,
            self._about,
            self._served.counted,
            self._shown,
            stores,
        )
        self._lost_lines = 0  # those that were told
        self._ticks = 0
        self._stop = asyncio.Event()
        self._signal = int(signal.SIGINT)  # the one that asked for the end
        self._scraping = asyncio.Lock()

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        return self._endpoint.bound

    async def run(self) -> int:
        """Serve until a signal. The exit status: 0, 2 for a wrong configuration, 1 for other errors."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            settings = await self._reloader.load()
            log_sinks.configure(settings.log)
            web = await web_config.prepare(settings)
            await self._server.put_in_force(settings, web, accept=False)
            await self._endpoint.listen_unix(settings.control_socket)
        except (ConfigError, ListenError) as error:
            print(error if isinstance(error, ConfigError) else f"error: {error}", file=sys.stderr)
            self._notifier.status(str(error).splitlines()[0])
            await self._reloader.close()
            await self._endpoint.close()
            return 2 if isinstance(error, ConfigError) else 1
        self._notifier.start_watchdog()
        await asyncio.to_thread(self._served.labelled.recall, settings.state_folder)
        await self._supervisor.adopt(self._reloader.allowed(settings))
        await self._endpoint.accept()
        self._greet(settings)
        work = [
            asyncio.create_task(self._work(settings)),
            asyncio.create_task(self._tick()),
            asyncio.create_task(self._rollout.follow()),
        ]
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stop, *work], return_when=asyncio.FIRST_COMPLETED)
        self._notifier.stopping()
        await self._end_scripts(crashed=any(task.done() for task in work))
        for task in [stop, *work]:
            task.cancel()
        results = await asyncio.gather(stop, *work, return_exceptions=True)
        await self._reloader.close()
        await self._endpoint.close()
        self._notifier.stop_watchdog()
        crashes = [r for r in results if isinstance(r, Exception)]
        for crash in crashes:
            log().critical("the agent failed", message_id=Message.AGENT_FAILED, exc_info=crash)
        log().info("stopped", message_id=Message.STOPPED)
        log_sinks.close()
        return 1 if crashes else 0

    async def _end_scripts(self, crashed: bool) -> None:
        """Unload the modules, or leave them; the pages that are being read are read to their end before."""
        ending = Ending.RESTART if crashed else await asked(self._signal)
        self._rollout.close()
        await self._supervisor.end_changes()  # who waits for a reload is told
        if ending is Ending.STOP and self._endpoint.inherits:
            await close_port()
        await self._endpoint.finish(_LAST_PAGES)
        if ending is Ending.STOP:
            log().info("stopping", message_id=Message.STOPPING)
            await self._supervisor.stop()
            return
        kept = sum(script.module is not None for script in self._supervisor.scripts.values())
        text = f"stopping; {kept} modules stay loaded for the next agent"
        log().info(text, message_id=Message.STOPPING, modules=kept)
        await self._remember_labels()
        await self._supervisor.leave()

    def stop(self, number: int = signal.SIGINT) -> None:
        """Do what a signal does; without one, stop."""
        self._end(number)

    def _end(self, number: int) -> None:
        self._signal = number
        self._stop.set()

    def reload(self, recompile: bool = False) -> None:
        """Do what SIGHUP does. `recompile`: replace the modules of unchanged scripts as well."""
        self._reloader.reload(recompile)

    def _greet(self, settings: Settings) -> None:
        served = web_server.urls(self._endpoint, settings)
        text = f"stapwatch agent {VERSION} serves {served}"
        log().info(text, message_id=Message.STARTED, version=VERSION)
        for address in self._endpoint.unused:
            log().warning(
                f"stapwatch.socket listens on {address}, which the configuration does not, so nobody answers "
                "there; add it to listen:, or: systemctl edit stapwatch.socket",
                message_id=Message.SOCKET_UNUSED,
            )
        privileges.report()
        if why := self._refusal():
            log().warning(f"no script can run: {why}", message_id=Message.NO_MODULES)

    def _refusal(self) -> str | None:
        try:
            return self._modules.refusal()
        except ModuleError as error:
            return str(error)

    async def _work(self, settings: Settings) -> None:
        self._notifier.status(f"compiling {len(settings.scripts)} scripts")
        await self._reloader.start(settings)
        await self._reloader.crashed()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._supervisor.tick()
            self._tell_lost_lines()
            self._ticks += 1
            if self._ticks % _REMEMBER_TICKS == 0:
                await self._remember_labels()
            if not self._ready or self._reloader.busy:
                self._notifier.extend(_PATIENCE)

    async def _remember_labels(self) -> None:
        """For the agent that follows. `arming` reports a folder that cannot be written."""
        memory = self._served.labelled.memory()
        if memory is not None:
            with contextlib.suppress(OSError):
                folder = self._supervisor.settings.state_folder
                await asyncio.to_thread(label_memory.save, folder, memory)

    def _tell_lost_lines(self) -> None:
        """The log has gaps: say so in the log as soon as it takes lines again."""
        lost = log_sinks.lost()
        if lost > self._lost_lines and log_sinks.written(lambda: None):
            text = f"{lost - self._lost_lines} log lines were lost: the log was full"
            log().warning(text, message_id=Message.LINES_LOST)
        elif lost >= self._lost_lines:
            return  # none, or not yet
        self._lost_lines = lost

    @property
    def _ready(self) -> bool:
        return self._reloader.applied and self._supervisor.settled

    def _progress(self, text: str) -> None:
        self._notifier.status(text)

    def _about(self) -> tuple[bool, tuple[str, ...]]:
        return self._ready, tuple(map(str, self._endpoint.bound))

    async def _snapshots(
        self,
        scripts: Mapping[str, Script],
        doubles: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> dict[str, Snapshot]:
        """One snapshot of each loaded module; other tasks run in between. `doubles`: by script, the globals
        whose counts may be doubles."""
        found = {}
        for name in list(scripts):
            script = scripts.get(name)
            if script is None or script.module is None:
                continue
            with contextlib.suppress(DeviceError):  # missed hits are then those of the last sync
                script.module.device.sync()
            with contextlib.suppress(DeviceError):  # it is not complete, and the others are served
                found[name] = script.module.snapshot(
                    by_cpu=script.settings.by_cpu, doubles=doubles.get(name, ())
                )
            await asyncio.sleep(0)
        return found

    async def _shown(
        self, scripts: Mapping[str, Script]
    ) -> tuple[Exposition, dict[str, Snapshot], Reader]:
        """The values of scripts as a page has them now; sums want their readings in order."""
        async with self._scraping:
            exposition = self._supervisor.exposition
            snapshots = await self._snapshots(scripts)
            return exposition, snapshots, self._served.shown(exposition, snapshots)

    async def _answer(self, request: Request) -> Response:
        if request.method == "POST":  # only over the Unix socket
            return await self._operator.do(request)
        match request.path:
            case "/metrics":
                return await self._scrape(request)
            case "/-/healthy":
                return Response(200, b"healthy\n")
            case "/-/ready" if self._ready:
                return Response(200, b"ready\n")
            case "/-/ready":
                return Response(503, b"not ready: scripts are being compiled and loaded\n")
            case "/status":
                return await self._status.tree(request)
            case path:
                return page_files.answer(path, request.headers)

    async def _scrape(self, request: Request) -> Response:
        started = time.perf_counter()
        headers = request.headers
        form = negotiate(headers.get("accept", ""))
        readings, scraper = self._supervisor.last_readings, _scraper(request)
        # The second of two concurrent scrapes waits, and finds most pages cached.
        async with self._scraping:
            last = readings.due(scraper)
            parts = await self._render(form, last)
            if request.method == "GET":
                readings.served(scraper, last)
        extra = {"Vary": "Accept, Accept-Encoding"}
        if wants_gzip(headers.get("accept-encoding", "")):
            parts = [await asyncio.to_thread(compress, parts)]
            extra["Content-Encoding"] = "gzip"
        self._health.scrapes += 1
        self._health.scrape_seconds += time.perf_counter() - started
        return Response(200, parts, form.value, extra)

    async def _render(self, form: Format, last: Mapping[str, LastReading]) -> list[bytes]:
        """The parts of the page, as they are cached; other tasks run in between.

        `last`: what stands in it for the values of these scripts.
        """
        exposition = self._supervisor.exposition_with(last)
        snapshots = await self._snapshots(self._supervisor.scripts, exposition.doubles(form))
        snapshots |= {n: r.snapshot for n, r in last.items()}
        read = self._served.select(exposition, snapshots, self._supervisor.settings)
        parts: list[bytes] = []
        end = time.perf_counter() + _SLICE
        for part in exposition.render(read, form):
            if part:
                parts.append(part)
            if time.perf_counter() > end:
                await asyncio.sleep(0)
                end = time.perf_counter() + _SLICE
        self._health.refused = self._served.note_page(exposition)
        self._health.state_problem = self._supervisor.arming.problem
        self._metrics.snapshots = snapshots
        parts.append(self._metrics.render(form))
        self._metrics.snapshots = {}
        return parts


def _scraper(request: Request) -> str:
    """Who asks: two servers of one Prometheus pair differ in their hosts, a person in the program."""
    headers = request.headers
    host = headers.get("x-forwarded-for", request.peer)
    return f"{host} {headers.get('user-agent', '')}"
