# SPDX-License-Identifier: GPL-2.0-or-later
"""A compiler in a sandbox (stapwatch-compile@.service), which works for one connection to the loader.

    with closing(Sandbox(peer)) as sandbox:
        compile_script(request, sandbox.progress, sandbox.compile)   -> Response

The sandbox gets what it may not open as open files, and only the module comes back, which is stored in the
loader's own cache. So a script that takes the compiler over gets no further than its module gets anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import select
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from compiler.driver import module_cache
from compiler.driver.compile import Progress
from compiler.driver.module_cache import CompileJob
from compiler.kernel.kernel import files_of_root
from compiler.kernel.symbols import KALLSYMS, KPROBE_BLACKLIST, TRACEFS
from compiler.protocol import (
    Diagnostic,
    ProtocolError,
    Request,
    Response,
    decode_progress,
    decode_response,
    encode,
    encode_progress,
)
from compiler.support.content_store import key_of
from runtime.support.line_socket import LineSocket
from runtime.support.record import replace

SOCKET = Path("/run/stapwatch-compile.socket")
LARGEST = 64 << 20  # bytes of a module
_MODULE = re.compile(r"sw_[a-z0-9_]{1,60}")
_PRIVILEGED = (
    KALLSYMS,
    *(mount / "available_filter_functions" for mount in TRACEFS),
    KPROBE_BLACKLIST,
)


class SandboxError(Exception):
    """The compiler has ended without an answer, or was ended because nobody waits for it."""


class Sandbox:
    """One compiler, started when it is needed. `peer`: who waits for it, and gets its progress."""

    def __init__(self, peer: LineSocket, path: Path | None = None) -> None:
        self._peer, self._path = peer, path or SOCKET
        self._compiler: LineSocket | None = None
        self._given = ""  # the release of the kernel whose files the compiler has

    def progress(self, text: str) -> None:
        self._peer.send(encode_progress(text))

    def compile(self, job: CompileJob, progress: Progress) -> Response:
        """Run the passes there, and store the module here. Raises SandboxError."""
        try:
            compiler = self._compiler = self._compiler or self._started()
        except OSError as error:
            return _not_started(job, error)
        try:
            response, module = self._ask(compiler, job, progress)
        except (OSError, ProtocolError) as error:
            raise SandboxError(str(error)) from error
        if not response.ok:
            return response
        if response.identity != job.identity or not _MODULE.fullmatch(response.module):
            return _other_files(job)
        files = {f"{response.module}.ko": module}
        entry = job.cache.put(key_of("sandbox", hashlib.sha256(module).hexdigest()), files)
        key = entry.folder.name
        module_cache.store(replace(job, module=response.module), response, key)
        path = module_cache.install(entry.path(f"{response.module}.ko"), job.request.output)
        return replace(response, path=path, size=0)

    def close(self) -> None:
        if self._compiler is not None:
            self._compiler.close()
            self._compiler = None

    def _ask(
        self, compiler: LineSocket, job: CompileJob, progress: Progress
    ) -> tuple[Response, bytes]:
        self._give_kernel(compiler, job.request)
        with _script(job.request) as descriptors:
            compiler.send(encode(replace(job.request, cache=None, output=None)), descriptors)
        while line := compiler.line():
            if (text := decode_progress(line)) is None:
                break
            progress(text)
        if not line:
            raise SandboxError("the compiler was killed, or the agent wants it no more")
        response = decode_response(line)
        if not 0 <= response.size <= LARGEST:
            raise ProtocolError(f"a module of {response.size} bytes")
        module = compiler.exactly(response.size)
        if len(module) != response.size:
            raise SandboxError("the compiler was killed")
        return response, module

    def _started(self) -> LineSocket:
        compiler = LineSocket(socket.socket(socket.AF_UNIX))
        compiler.sock.connect(str(self._path))
        _give(compiler, _PRIVILEGED)
        threading.Thread(
            target=_end_with, args=(self._peer.sock, compiler.sock), daemon=True
        ).start()
        return compiler

    def _give_kernel(self, compiler: LineSocket, request: Request) -> None:
        """The image and the symbols of a kernel that does not run: Ubuntu's only root may read."""
        release = (request.kernel or {}).get("release", "")
        if release not in ("", self._given):
            _give(compiler, files_of_root(release))
            self._given = release


def _give(compiler: LineSocket, paths: Iterable[Path]) -> None:
    """Those that can be opened."""
    with contextlib.ExitStack() as opened:
        files = {}
        for path in paths:
            with contextlib.suppress(OSError):
                files[str(path)] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, files[str(path)])
        line = json.dumps({"files": list(files)}).encode() + b"\n"
        compiler.send(line, list(files.values()))


def _end_with(peer: socket.socket, compiler: socket.socket) -> None:
    """End the compiler when who waits for it is gone: its side of the socket tells it."""
    poll = select.poll()
    poll.register(peer, select.POLLRDHUP)
    with contextlib.suppress(OSError):
        poll.poll()
        compiler.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _script(request: Request) -> Iterator[list[int]]:
    """The script's file, open; none if the request has its text."""
    if request.source is None or request.text is not None:
        yield []
        return
    descriptor = os.open(request.source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield [descriptor]
    finally:
        os.close(descriptor)


def _not_started(job: CompileJob, error: OSError) -> Response:
    message = f"cannot start the compiler: {error.strerror or error}"
    hint = "systemctl start stapwatch-compile.socket"
    return Response(False, errors=(Diagnostic("no-compiler", message, job.file, hint=hint),))


def _other_files(job: CompileJob) -> Response:
    """The sandbox sees another library, say, than this process."""
    message = "the compiler's sandbox does not see the files that the loader sees"
    hint = "library folders must be readable by everybody, and not below /home or /tmp"
    return Response(False, errors=(Diagnostic("no-compiler", message, job.file, hint=hint),))
