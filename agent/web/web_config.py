# SPDX-License-Identifier: GPL-2.0-or-later
"""The web configuration file in force: it is read again when it or one of its certificates changes.

    web.use(await prepare(settings))  # at the start and at each reload; a wrong file raises ConfigError
    await web.current()               # at each handshake and request: settings and TLS of now

A changed file with an error is reported once, and what was read before stays in force. Without such a file
nothing here is imported that only the file needs: the agent stays small.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.load import ConfigError
from agent.config.settings import Settings
from agent.config.web_settings import WebSettings
from agent.config.yaml_tree import ConfigDiagnostic, Position
from agent.log_messages import Message
from agent.log_sinks import log
from runtime.support.footprint import bring_back_openssl
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.web.tls import TlsServer

Stamp = tuple[int, int, int, int] | None
Stamps = tuple[Stamp, ...]


@record(eq=False)
class Web:
    """What was read at once. `tls`: None for plain HTTP. `stamps`: of the files, before they were read."""

    settings: WebSettings = WebSettings()
    tls: TlsServer | None = None
    files: tuple[Path, ...] = ()
    stamps: Stamps = ()
    insecure_files: bool = False

    @property
    def comparable(self) -> tuple[object, ...]:
        return self.settings, self.stamps, self.insecure_files

    @property
    def is_outdated(self) -> bool:
        return self.stamps != _stamps(self.files)


async def prepare(settings: Settings) -> Web:
    """Like `check`, without blocking the event loop."""
    return Web() if settings.web.file is None else await asyncio.to_thread(check, settings)


def check(settings: Settings) -> Web:
    """Read the file that the settings name, and its certificates. Raises ConfigError."""
    file = settings.web.file
    return Web() if file is None else _read(file, settings.insecure_files)


class WebConfig:
    def __init__(self) -> None:
        self._web = Web()
        self._failed: Web | None = None  # a newer version with an error
        self._reading = asyncio.Lock()

    def use(self, web: Web) -> None:
        """Put it in force. The same files again change nothing, so that no connection has to be closed."""
        if web.comparable != self._web.comparable:
            self._web = web
        self._failed = None

    async def current(self) -> Web:
        if self._must_read:
            async with self._reading:
                if self._must_read:
                    await self._read_again()
        return self._web

    async def tls(self) -> TlsServer | None:
        return (await self.current()).tls

    @property
    def _must_read(self) -> bool:
        return self._web.is_outdated and (self._failed is None or self._failed.is_outdated)

    async def _read_again(self) -> None:
        web, file = self._web, self._web.settings.file
        assert file is not None
        try:
            found = await asyncio.to_thread(_read, file, web.insecure_files)
        except ConfigError as error:
            self._failed = await asyncio.to_thread(_stamped, file)
            for line in str(error).splitlines():
                text = f"{line}; what was read before stays in force"
                log().error(text, message_id=Message.CONFIG_ERROR, file=str(file))
            return
        if self._web is web:  # no reload came first
            self.use(found)
            text = f"{file} or one of its certificates has changed and was read again"
            log().info(text, message_id=Message.WEB_CONFIG_READ)


def _read(file: Path, insecure_files: bool) -> Web:
    """Raises ConfigError."""
    from agent.config import web_schema
    from agent.web import basic_auth

    before = _stamp(file)
    diagnostics: list[ConfigDiagnostic] = []
    settings = web_schema.read(file, diagnostics, insecure_files=insecure_files)
    if settings.users and (why := basic_auth.problem()):
        diagnostics.append(ConfigDiagnostic(Position(str(file)), why))
    if diagnostics:
        raise ConfigError(diagnostics)
    files = settings.files
    stamps = (before, *_stamps(files[1:]))
    if settings.tls is None:
        return Web(settings, None, files, stamps, insecure_files)
    bring_back_openssl()
    from agent.web import tls

    try:
        server = tls.make_server(settings.tls)
    except tls.TlsError as error:
        raise ConfigError([error.diagnostic]) from error
    return Web(settings, server, files, stamps, insecure_files)


def _stamped(file: Path) -> Web:
    """The files that a version with an error names, to know when it is worth reading again."""
    from agent.config import web_schema

    settings = web_schema.read(file, [], insecure_files=True)
    return Web(settings, files=settings.files, stamps=_stamps(settings.files))


def _stamps(files: tuple[Path, ...]) -> Stamps:
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> Stamp:
    """Whatever changes when a file is replaced or written; None if it cannot be found."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
