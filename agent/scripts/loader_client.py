# SPDX-License-Identifier: GPL-2.0-or-later
"""The loader, asked by an agent without privileges (stapwatch-loader.service, agent/loader/).

    modules = LoaderModules()
    modules.load(Path("/run/stapwatch-loader/modules/sw_vfs_1a2b3c4d.ko"), "sw_vfs_1a2b3c4d")  -> Device
    Compiler(settings, compilers=LoaderCompilers())

Each call is one line of JSON on a connection of its own, and so is the answer; a device comes with it, open
and locked, and is read here. The loader ends when nobody asks, and systemd starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from agent.config.settings import CompileSettings
from agent.scripts.compile_worker import MOST_REQUESTS, AnyWorker, Progress, WorkerError
from agent.scripts.compilers import Compilers
from agent.scripts.kernel_modules import BusyError, Keeper, ModuleError, Modules
from agent.scripts.loader_calls import BUILD, SOCKET
from agent.store.refusals import COUNTS
from agent.store.spool import FOLDER, STORES
from compiler.protocol import (
    LAST_PASS,
    ProtocolError,
    Request,
    Response,
    decode_progress,
    decode_response,
)
from runtime.abi import structs
from runtime.abi.structs import Budgets
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError
from runtime.support.line_socket import LINE_LIMIT, LineSocket
from runtime.support.record import asdict

_Call = dict[str, Any]
# What a loader that was killed may have done is no obstacle to the next one.
_AGAIN = {
    "drop",
    "find",
    "forget",
    "identity",
    "job",
    "keep",
    "load",
    "names",
    "open",
    "refusal",
    "version",
}


class LoaderError(OSError):
    """The loader did not do what it was asked for, or cannot be asked. `is_busy`: another process reads the
    module."""

    def __init__(self, text: str, number: int = 0, is_busy: bool = False) -> None:
        super().__init__(number, text)
        self.is_busy = is_busy

    def __str__(self) -> str:
        return self.strerror or ""  # an OSError's text begins with its number, and most have none


def is_needed(loader: Path = SOCKET) -> bool:
    """Whether this process cannot load modules, and there is a loader that can."""
    return not module_loader.may_load() and loader.is_socket()


def ask(loader: Path, call: _Call, patience: float | None = None) -> tuple[Any, list[int]]:
    """The answer's value and the descriptors that came with it. Raises LoaderError. It blocks, at most for
    `patience` seconds."""
    answer, descriptors = _answer(loader, call, patience)
    if answer is None and call["do"] in _AGAIN:
        answer, descriptors = _answer(loader, call, patience)
    if isinstance(answer, dict) and "done" in answer:
        return answer["done"], descriptors
    if not isinstance(answer, dict):
        raise LoaderError(f"the loader at {loader} has ended; journalctl -u stapwatch-loader")
    text, number = str(answer.get("error")), int(answer.get("errno", 0))
    raise LoaderError(text, number, bool(answer.get("busy")))


def _answer(loader: Path, call: _Call, patience: float | None) -> tuple[Any, list[int]]:
    """None for an answer: the loader has ended."""
    try:
        with contextlib.closing(LineSocket(socket.socket(socket.AF_UNIX))) as peer:
            peer.sock.settimeout(patience)
            peer.sock.connect(str(loader))
            peer.send(json.dumps(call).encode() + b"\n")
            return json.loads(peer.line() or b"null"), peer.taken()
    except ConnectionError:
        return None, []
    except (OSError, ValueError) as error:
        raise LoaderError(f"the loader at {loader} does not answer: {error}") from error


class LoaderModules(Modules):
    """The modules of this kernel, through the loader. Reading a device needs no loader."""

    def __init__(self, loader: Path = SOCKET) -> None:
        super().__init__(keeper=Keeper.AGENT)
        self._loader = loader

    def refusal(self) -> str | None:
        return str(self._ask({"do": "refusal"})[0] or "") or None

    def names(self) -> list[str]:
        try:
            return list(map(str, self._ask({"do": "names"})[0]))
        except ModuleError:
            return []

    def load(self, path: Path, name: str) -> Device:
        return self._device({"do": "load", "path": str(path), "name": name})

    def open(self, name: str) -> Device:
        return self._device({"do": "open", "name": name})

    def keeper(self, name: str) -> Keeper | None:
        try:
            found = self._ask({"do": "keeper", "name": name})[0]
        except ModuleError:
            return None
        return None if found is None else Keeper(int(found))

    def keep(self, name: str, keeper: Keeper) -> None:
        self._ask({"do": "keep", "name": name, "keeper": int(keeper)})

    def reap(self) -> list[str]:
        return list(map(str, self._ask({"do": "reap"})[0]))

    def unload(self, name: str) -> None:
        self._ask({"do": "unload", "name": name})

    def forget(self, path: Path) -> None:
        self._ask({"do": "forget", "path": str(path)})

    def _device(self, call: _Call) -> Device:
        _, descriptors = self._ask(call)
        if len(descriptors) != 1:
            raise ModuleError(f"the loader sent no device of module {call['name']}")
        return self._attempt(lambda: _Device(descriptors[0], str(call["name"]), self._loader))

    def _ask(self, call: _Call) -> tuple[Any, list[int]]:
        try:
            return ask(self._loader, call)
        except LoaderError as error:
            raise (BusyError if error.is_busy else ModuleError)(str(error.strerror)) from error


class _Device(Device):
    """A device that the loader starts: the paths of programs to probe are looked up there."""

    def __init__(self, fd: int, name: str, loader: Path) -> None:
        super().__init__(fd, name)
        self._loader = loader

    def start(
        self,
        max_errors: int = structs.UNLIMITED_ERRORS,
        target: int = 0,
        budgets: Budgets | None = None,
        instead_of: Device | None = None,
    ) -> None:
        limits = None if budgets is None else list(asdict(budgets).values())
        call = {
            "do": "start",
            "name": self.name,
            "max_errors": max_errors,
            "target": target,
            "budgets": limits,
            "instead_of": instead_of.name if instead_of is not None else None,
        }
        try:
            ask(self._loader, call)
        except LoaderError as error:
            raise DeviceError(error.errno, str(error.strerror)) from error


class LoaderCompilers(Compilers):
    """The loader's cache, and compilers in a sandbox that work for it."""

    def __init__(self, loader: Path = SOCKET) -> None:
        super().__init__()
        self._loader = loader

    async def start(self, settings: CompileSettings) -> AnyWorker:
        """`settings` do not limit its memory: MemoryMax= of stapwatch-compile@.service does."""
        reader, writer = await asyncio.open_unix_connection(str(self._loader), limit=LINE_LIMIT)
        return _Worker(reader, writer)

    def find(self, wanted: Request) -> Response | None:
        if wanted.last_pass < LAST_PASS or wanted.listing is not None:
            return None
        line = self._said("find", wanted)
        if not line:
            self._count_refusals()
        return decode_response(line) if line else None

    def _count_refusals(self) -> None:
        """Add the loader's refusals of modules from stores to ours; the loader forgets them when it ends."""
        if not (FOLDER / STORES).is_dir():
            return
        with contextlib.suppress(LoaderError, ValueError, TypeError):
            for url, reason, count in ask(self._loader, {"do": "refusals"})[0]:
                COUNTS.add(str(url), str(reason), int(count))

    def identity(self, wanted: Request) -> str:
        return self._said("identity", wanted)

    def drop(self, identity: str, cache_folder: Path) -> None:
        ask(self._loader, {"do": "drop", "identity": identity})

    def version(self, cache_folder: Path) -> str:
        with contextlib.suppress(LoaderError):
            return str(ask(self._loader, {"do": "version"})[0])
        return ""

    def _said(self, what: str, wanted: Request) -> str:
        with contextlib.suppress(LoaderError):
            return str(ask(self._loader, {"do": what, "request": asdict(wanted)})[0])
        return ""


class _Worker:
    """A connection to the loader on which scripts are compiled, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served = 0
        self._reader, self._writer = reader, writer

    @property
    def is_worn(self) -> bool:
        return self.served >= MOST_REQUESTS or self._reader.at_eof()

    async def ask(self, request: bytes, progress: Progress) -> Response:
        try:
            self._writer.write(BUILD + request.rstrip(b"\n") + b"}\n")
            await self._writer.drain()
            while line := await self._reader.readline():
                if (text := decode_progress(line)) is None:
                    self.served += 1
                    return decode_response(line)
                progress(text)
        except ProtocolError as error:
            raise WorkerError(f"sent a bad answer: {error}") from error
        except (OSError, ValueError) as error:
            raise WorkerError(f"cannot be asked: {error}") from error
        # it was killed, as for lack of memory, or somebody has ended its unit
        raise WorkerError(
            "has ended without an answer (journalctl -u 'stapwatch-compile@*')", killed=True
        )

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def kill(self) -> None:
        """The loader and the sandbox end the compile as soon as the connection is gone."""
        self._writer.transport.abort()
        await self.close()
