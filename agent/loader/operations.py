# SPDX-License-Identifier: GPL-2.0-or-later
"""What the loader does for the agent, and what it refuses.

    operations = Operations(Modules(keeper=Keeper.AGENT), folder)
    operations.do({"do": "load", "path": "/etc/passwd", "name": "x"}, peer)   # ModuleError
    operations.do({"do": "names"}, peer)                                       -> ["sw_vfs_1a2b3c4d"], []

The agent is not trusted: it reads what the network sends. It can start, stop and replace the modules that the
configuration asks for. It can load nothing else, unload nothing else, and name no file of its own.
"""

from __future__ import annotations

import fcntl
import json
import re
import socket
import struct
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.scripts import module_lookup, systemd_jobs
from agent.scripts.kernel_modules import Keeper, ModuleError, Modules
from agent.store.refusals import COUNTS, RefusalCounts
from compiler.kernel.release import RELEASE
from compiler.protocol import (
    LAST_PASS,
    Diagnostic,
    ProtocolError,
    Request,
    Response,
    decode_request,
    encode,
)
from runtime.abi.structs import Budgets
from runtime.reader.device import Device
from runtime.support.line_socket import LineSocket
from runtime.support.record import replace

if TYPE_CHECKING:
    from agent.loader.sandbox import Sandbox
    from agent.loader.wanted_requests import WantedRequests
    from agent.store.stored_modules import StoredModules, Trust

_NAME = re.compile(r"sw_[a-z0-9_]{1,60}")
_PEER = struct.Struct("3i")  # struct ucred: process, user, group

Done = tuple[Any, list[int]]


class Operations:
    """`folder`: the loader's own, where modules lie that are about to be loaded. `config`: the
    configuration's file, which says what may be compiled. `stored`: modules of another machine's compiler.
    `refusals`: what was refused of them."""

    def __init__(
        self,
        modules: Modules,
        folder: Path,
        config: Path | None = None,
        stored: StoredModules | None = None,
        refusals: RefusalCounts = COUNTS,
    ) -> None:
        self._modules, self._folder, self._config = modules, folder, config
        self._stored, self._refusals = stored, refusals
        self._wanted: WantedRequests | None = None
        self._lock = threading.Lock()

    def do(self, call: object, peer: LineSocket) -> Done:
        """The answer's value, and descriptors, which are then the caller's. Raises ModuleError, DeviceError,
        ProtocolError."""
        match call:
            case {"do": "refusal"}:
                return self._modules.refusal() or "", []
            case {"do": "names"}:
                return self._modules.names(), []
            case {"do": "load", "path": str(path), "name": str(name)}:
                return self._load(Path(path), name)
            case {"do": "open", "name": str(name)}:
                return self._given(self._modules.open(self._ours(name)))
            case {"do": "keeper", "name": str(name)}:
                return self._modules.keeper(self._ours(name)), []
            case {"do": "keep", "name": str(name), "keeper": int(keeper)}:
                self._modules.keep(self._ours(name), Keeper(keeper))
            case {"do": "reap"}:
                return self._modules.reap(), []
            case {"do": "unload", "name": str(name)}:
                self._modules.unload(self._ours(name))
            case {"do": "forget", "path": str(path)}:
                self._modules.forget(self._file(Path(path)))
            case {
                "do": "start",
                "name": str(name),
                "max_errors": int(max_errors),
                "target": int(target),
                "budgets": None | [int(), int(), int(), int()] as budgets,
                "instead_of": None | str() as instead_of,
            }:
                limits = None if budgets is None else Budgets(*budgets)
                self._start(name, max_errors, target, limits, instead_of)
            case {"do": "find", "request": dict(request)}:
                found = self._find(self._request(request))
                return "" if found is None else encode(found).decode(), []
            case {"do": "identity", "request": dict(request)}:
                return module_lookup.identity(self._request(request)), []
            case {"do": "drop", "identity": str(identity)}:
                _drop(identity)
            case {"do": "refusals"}:
                return [[*key, count] for key, count in self._refusals.taken().items()], []
            case {"do": "version"}:
                return _version(), []
            case {"do": "job"}:
                return systemd_jobs.job(_unit(peer)), []
            case {"do": "close_port"}:
                _close_port(_unit(peer))
            case _:
                raise ProtocolError(f"the loader knows no call like {call!r:.80}")
        return None, []

    def build(self, given: object, sandbox: Sandbox) -> bytes:
        """The response to a request. Raises SandboxError."""
        request = self._request(given)
        if not self._is_wanted(request):
            return encode(_refused(request))
        from compiler.driver.compile import compile_script

        response = compile_script(request, sandbox.progress, sandbox.compile)
        if self._stored is not None and not response.ok:
            from agent.store.stored_modules import with_absence

            stored, trust = self._stored, self._trust(request)
            response = with_absence(response, lambda: stored.absence(request, trust))
        return encode(response)

    def _find(self, request: Request) -> Response | None:
        """From the cache, or from what was fetched of stores."""
        found = module_lookup.find(request)
        if found is not None or self._stored is None or self._stored.is_empty:
            return found
        return self._stored.find(request, self._trust(request))

    def _is_wanted(self, request: Request) -> bool:
        with self._lock:
            return self._wanted_requests().includes(request)

    def _trust(self, request: Request) -> Trust:
        """What the configuration says of stores; for a script that it does not ask for, nothing."""
        from agent.store.stored_modules import Trust

        with self._lock:
            stores = self._wanted_requests().stores(request)
        return Trust(stores.here, stores.keys)

    def _wanted_requests(self) -> WantedRequests:
        """The first one imports what reads configurations: modules from the cache need nothing of it."""
        from agent.loader.wanted_requests import WantedRequests

        self._wanted = self._wanted or WantedRequests(self._config)
        return self._wanted

    def _request(self, given: object) -> Request:
        """The agent's request with this process's folders. Raises ProtocolError."""
        request = decode_request(json.dumps(given))
        if request.listing or request.last_pass != LAST_PASS:
            raise ProtocolError("the loader only compiles modules")
        if request.kernel is None:
            return replace(request, cache=None, output=str(self._folder))
        if request.kernel.keys() != {"root", "release"} or request.kernel["root"] != "/":
            raise ProtocolError("the loader only compiles modules for kernels that are installed")
        if not RELEASE.fullmatch(request.kernel["release"]):
            raise ProtocolError("the loader only compiles modules for kernels that have a release")
        return replace(request, cache=None, output=None)  # it is not loaded now

    def _load(self, path: Path, name: str) -> Done:
        if path.stem != name:
            raise ModuleError(f"{path} is not the file of module {name}")
        file = self._file(path)
        if name in self._modules.names():  # a loader that was killed has loaded it for nobody
            return self._given(self._modules.open(name))
        return self._given(self._modules.load(file, name))

    def _start(
        self,
        name: str,
        max_errors: int,
        target: int,
        budgets: Budgets | None,
        instead_of: str | None,
    ) -> None:
        with ExitStack() as opened:
            device = opened.enter_context(Device.open(self._ours(name)))
            other = None
            if instead_of is not None:
                other = opened.enter_context(Device.open(self._ours(instead_of)))
            device.start(max_errors, target, budgets, other)

    @staticmethod
    def _given(device: Device) -> Done:
        """A copy of the device's descriptor; it has the lock as well."""
        try:
            return None, [fcntl.fcntl(device.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)]
        finally:
            device.close()

    def _file(self, path: Path) -> Path:
        """A file that this process has put into its own folder."""
        if path.parent != self._folder or path.suffix != ".ko" or not _NAME.fullmatch(path.stem):
            raise ModuleError(f"{path} is no module that the loader has made")
        return path

    def _ours(self, name: str) -> str:
        if not _NAME.fullmatch(name) or (
            self._modules.keeper(name) is None and name not in self._modules.names()
        ):
            raise ModuleError(f"module {name} is not one of stapwatch's")
        return name


def _refused(request: Request) -> Response:
    message = "the loader's configuration does not ask for this script as the agent wants it"
    hint = (
        "does stapwatch-loader.service read the agent's configuration? systemctl reload stapwatch"
    )
    return Response(
        False, errors=(Diagnostic("no-compiler", message, request.source or "", hint=hint),)
    )


def _drop(identity: str) -> None:
    from compiler.support.content_store import default_root

    module_lookup.drop(identity, default_root())


def _version() -> str:
    from compiler.support.content_store import default_root

    return module_lookup.version(default_root())


def _unit(peer: LineSocket) -> str:
    """The unit of the process that asks. Raises ModuleError."""
    data = peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    process, _, _ = _PEER.unpack(data)
    name = systemd_jobs.unit(Path(f"/proc/{process}/cgroup"))
    if name is None or not name.startswith("stapwatch"):
        raise ModuleError(f"process {process} is no service of stapwatch's")
    return name


def _close_port(unit: str) -> None:
    """Only while that unit is being stopped."""
    if systemd_jobs.job(unit) == "stop":
        systemd_jobs.close_port(unit)
