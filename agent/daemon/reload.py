# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts a configuration in force, at the start and at each reload, and reports what of it is not.

    report = await reloader.reload()
    report.is_good   -> False
    report.text      -> "script tcp does not compile: ...\\nnot all is in force: 1 problem; ..."

A configuration that is wrong as a whole changes nothing. Else each part is applied by itself: what fails
keeps its older version, is reported, and stops no other part. The texts are those of the log.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from agent import log_sinks
from agent.config import load
from agent.config.load import ConfigError, LastGood
from agent.config.settings import ListenAddress, Settings
from agent.config.yaml_tree import ConfigDiagnostic
from agent.daemon import next_kernel, outcome, privileges
from agent.daemon.outcome import Outcome, Result
from agent.daemon.rollout import Rollout
from agent.daemon.sd_notify import Notifier
from agent.daemon.self_metrics import Health
from agent.daemon.supervisor import Supervisor
from agent.log_messages import Message
from agent.log_sinks import log
from agent.web import web_config, web_server
from agent.web.http_server import ListenError
from agent.web.web_config import Web
from agent.web.web_server import WebServer
from runtime.support.footprint import trim_heap
from runtime.support.record import record, replace

_NAMED = 20  # scripts in one summary


@record
class Report:
    """`problems`: the lines that were logged about what is not in force. `summary`: the last line."""

    problems: tuple[str, ...]
    summary: str

    @property
    def is_good(self) -> bool:
        return not self.problems

    @property
    def text(self) -> str:
        return "\n".join([*self.problems, self.summary])


class Loader:
    """Reads the configuration. `listen` and `web_config_file` replace what it says."""

    def __init__(
        self,
        path: Path | None,
        listen: tuple[ListenAddress, ...] = (),
        web_config_file: Path | None = None,
        insecure_files: bool = False,
    ) -> None:
        self._path, self._listen = path, listen
        self._web_config_file, self._insecure_files = web_config_file, insecure_files
        self._last_good: LastGood = {}

    async def load(self) -> Settings:
        """Raises ConfigError."""
        return await asyncio.to_thread(self._load)

    def _load(self) -> Settings:
        settings = load.load(
            self._path,
            self._last_good,
            insecure_files=self._insecure_files,
            web_config_file=self._web_config_file,
        )
        privileges.check(settings)
        return replace(settings, listen=self._listen) if self._listen else settings


class Reloader:
    """Loads, listens and applies. A newer reload may overtake one whose scripts still compile."""

    def __init__(
        self,
        loader: Loader,
        parts: tuple[Rollout, Supervisor, WebServer, Notifier, Health],
        off: Callable[[], str],
    ) -> None:
        self.load = loader.load
        self._rollout, self._supervisor, self._server, self._notifier, self._health = parts
        self._endpoint = self._server.endpoint
        self._off = off
        self._started = asyncio.Event()
        self._loading = asyncio.Lock()
        self._waiting: asyncio.Task[Report] | None = None  # it has not read a file yet
        self._recompile_asked = False  # for the one that waits
        self._tasks: set[asyncio.Task[Report]] = set()
        self._begun = 0  # configurations so far, by which they are numbered
        self._newest = 0  # the number of the newest one that could be loaded
        self._newest_task: asyncio.Task[Report] | None = None
        self._reported_number = 0  # of the newest one whose result is in `health`
        self._crashed: asyncio.Future[None] | None = None
        self.settings = Settings()
        self.applied = False

    @property
    def busy(self) -> bool:
        """Whether a reload is in progress."""
        return bool(self._tasks)

    async def start(self, settings: Settings) -> None:
        """Apply the first configuration, whose addresses are served already. Reloads wait for this call."""
        self._begun = self._newest = 1
        self._started.set()
        await self._apply(settings, _report_config(settings), 1)

    def reload(self, recompile: bool = False) -> asyncio.Task[Report]:
        """The reload that begins after this call. Requests that come before it begins share it.

        `recompile`: replace the modules of unchanged scripts as well.
        """
        self._recompile_asked = self._recompile_asked or recompile
        if self._waiting is None:
            self._waiting = task = asyncio.get_running_loop().create_task(self._reload())
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return self._waiting

    async def crashed(self) -> None:
        """Wait until a reload fails by a defect of the agent, and raise its exception."""
        await self._crash_future()

    async def close(self) -> None:
        """End the reloads in progress. Nothing can be applied afterwards."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Report]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not (crashed := self._crash_future()).done():
            crashed.set_exception(error)

    def _crash_future(self) -> asyncio.Future[None]:
        self._crashed = self._crashed or asyncio.get_running_loop().create_future()
        return self._crashed

    async def _reload(self) -> Report:
        await self._started.wait()
        async with self._loading:
            task, self._waiting = self._waiting, None  # the files are read from now on
            recompile, self._recompile_asked = self._recompile_asked, False
            self._begun += 1
            number = self._begun
            self._notifier.reloading()
            log().info("reloading", message_id=Message.RELOADING)
            try:
                settings = await self.load()
                web = await web_config.prepare(settings)
            except ConfigError as error:
                return self._refuse(error, number)
            self._newest, self._newest_task = number, task
            problems = _report_config(settings)
            settings, unusable = await self._put_in_force(settings, web)
        return await self._apply(settings, [*problems, *unusable], number, recompile)

    def _refuse(self, error: ConfigError, number: int) -> Report:
        problems = tuple(map(_report_diagnostic, error.diagnostics))
        summary = "reload refused: the configuration before it stays in force"
        log().error(summary, message_id=Message.RELOAD_REFUSED)
        status = f"reload failed, the old configuration runs on: {problems[0]}"
        self._end(number, problems, status)
        return Report(problems, summary)

    async def _put_in_force(self, settings: Settings, web: Web) -> tuple[Settings, list[str]]:
        """Use the new addresses, socket and log. The settings that hold, and what does not."""
        problems = []
        try:
            await self._server.put_in_force(settings, web)
        except ListenError as error:
            served = ", ".join(map(str, self._endpoint.bound))
            if web_server.differs(settings, self.settings):
                served += ", with the web settings before"
            problems.append(_not_in_force("listen", str(error), served))
            settings = web_server.with_older(settings, self.settings)
        try:
            await self._endpoint.listen_unix(settings.control_socket)
        except ListenError as error:
            socket = self.settings.control_socket
            problems.append(_not_in_force("control_socket", str(error), str(socket)))
            settings = replace(settings, control_socket=socket)
        for key in ("work_folder", "cache_folder", "state_folder"):
            before = getattr(self.settings, key)
            if why := await asyncio.to_thread(_unusable, getattr(settings, key), before):
                problems.append(_not_in_force(key, why, str(before)))
                settings = replace(settings, **{key: before})
        if why := log_sinks.unusable(settings.log.format):
            log_before = self.settings.log.format
            problems.append(_not_in_force("log.format", why, log_before.value))
            settings = replace(settings, log=replace(settings.log, format=log_before))
        log_sinks.configure(settings.log)
        return _with_unreadable_folders(settings, self.settings), problems

    async def _apply(
        self, settings: Settings, problems: list[str], number: int, recompile: bool = False
    ) -> Report:
        self.settings = settings
        allowed = self.allowed(settings)
        if self._health.disabled:
            text = f"stapwatch is off, no script is loaded: {self._health.disabled}"
            log().warning(text, message_id=Message.OFF)
        before = outcome.state(self._supervisor.scripts)
        completed = await self._rollout.apply(allowed, recompile)
        if number != self._newest and self._newest_task is not None:
            return await asyncio.shield(self._newest_task)  # what it has loaded is newer
        if not completed:
            return Report((*problems, "the agent stops"), "not all is in force")
        self.applied = True
        self._health.compiler = self._supervisor.compiler
        await asyncio.to_thread(next_kernel.ask_again, allowed, self._supervisor.compiler)
        found = outcome.outcomes(self._supervisor.scripts, before)
        problems += [text for one in found.values() if not one.is_good for text in one.said]
        report = self._reported(tuple(dict.fromkeys(problems)), found, number)
        trim_heap()
        return report

    def allowed(self, settings: Settings) -> Settings:
        """The settings, without scripts while stapwatch is switched off."""
        self._health.disabled = self._off()
        return replace(settings, scripts={}, refused=()) if self._health.disabled else settings

    def _reported(
        self, problems: tuple[str, ...], found: dict[str, Outcome], number: int
    ) -> Report:
        states = self._states()
        is_reload = number > 1
        first = f"; not all is in force: {problems[0]}" if problems and is_reload else ""
        self._end(number, problems, states + first)
        if not problems:
            log().info(f"ready: {states}", message_id=Message.READY)
            return Report(problems, f"ready: {states}")
        summary = f"not all is in force: {_count(len(problems), 'problem')}; {_summary(found)}"
        log().error(summary, message_id=Message.RELOAD_INCOMPLETE)
        return Report(problems, summary)

    def _end(self, number: int, problems: tuple[str, ...], status: str) -> None:
        if not problems:
            self._health.reload_time = time.time()
        if number > self._reported_number:  # else a newer one was refused meanwhile
            self._reported_number = number
            self._health.reload_successful = not problems
            self._health.reload_error = "\n".join(problems)
        # systemd waits for the first configuration, and not for an error in a newer one
        self._notifier.ready(status) if self.applied else self._notifier.status(status)

    def _states(self) -> str:
        if self._health.disabled:
            return f"off: {self._health.disabled}"
        states = Counter(script.shown.value for script in self._supervisor.scripts.values())
        states.update(self._rollout.absent())
        return (
            ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no scripts"
        )


def _summary(found: dict[str, Outcome]) -> str:
    """`in force: a, b; unchanged: 7; removed: c; not in force: d`"""
    groups: dict[Result, list[str]] = {}
    for name, one in found.items():
        groups.setdefault(one.result, []).append(name)
    parts = [
        f"{label}: {len(groups[result]) if result is Result.UNCHANGED else _names(groups[result])}"
        for result, label in _LABELS.items()
        if result in groups
    ]
    return "; ".join(parts) or "no scripts"


_LABELS = {
    Result.IN_FORCE: "in force",
    Result.UNCHANGED: "unchanged",
    Result.REMOVED: "removed",
    Result.FAILED: "not in force",
}


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


def _report_config(settings: Settings) -> list[str]:
    """Log the warnings, and the errors of parts that are left out; returns the errors' texts."""
    for warning in settings.warnings:
        log().warning(warning, message_id=Message.CONFIG_WARNING)
    return [
        _report_diagnostic(found, text)
        for part in settings.refused
        for found, text in zip(part.diagnostics, part.texts, strict=True)
    ]


def _report_diagnostic(found: ConfigDiagnostic, text: str = "") -> str:
    text = text or str(found)
    where = {"file": found.position.file}
    numbers = {"line": found.position.line, "column": found.position.column}
    fields = {**where, **(numbers if found.position.line else {})}
    log().error(text, message_id=Message.CONFIG_ERROR, **fields)
    return text


def _not_in_force(key: str, why: str, before: str) -> str:
    text = f"{key} is not in force: {why}; still used: {before or 'none'}"
    log().error(text, message_id=Message.SETTING_NOT_IN_FORCE, key=key)
    return text


def _unusable(folder: Path, before: Path) -> str:
    """Why a folder that is another one now cannot be used, or ""."""
    if folder == before:
        return ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return ""
        why = "it cannot be written"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    return f"{folder}: {why}; the unit lists its writable folders in ReadWritePaths="


def _with_unreadable_folders(settings: Settings, before: Settings) -> Settings:
    """Scripts in a folder that cannot be read now stay as they are."""
    folders = {part.folder for part in settings.refused if part.folder is not None}
    known = {n: s for n, s in before.scripts.items() if s.file and s.file.parent in folders}
    return replace(settings, scripts={**known, **settings.scripts}) if known else settings
