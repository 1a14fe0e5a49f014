# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler in a sandbox of its own, asked over a socket (stapwatch-compile@.service).

    serve(sock)   # until the other side closes it

The first line is `{"files": ["/proc/kallsyms", ...]}`, and with it come these files, open: the sandbox's user
may not open them. Then each line is another one of these, or a request as on stdin; the script's file, open,
may come with it. Lines of progress and one response answer a request, and behind the response come the
module's bytes: they are all that leaves the sandbox.

A side that closes the socket wants nothing more, so this process ends at once, whatever it is doing.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import threading
from pathlib import Path

from compiler.driver.compile import compile_script
from compiler.protocol import (
    ProtocolError,
    Request,
    decode_request,
    encode,
    encode_progress,
)
from compiler.support import given_files
from runtime.support.line_socket import LineSocket
from runtime.support.record import replace

_FILES = b'{"files":'


def serve(sock: socket.socket) -> None:
    """Raises ProtocolError, OSError."""
    threading.Thread(target=_end_with, args=(sock,), daemon=True).start()
    peer = LineSocket(sock)
    _take_files(peer, peer.line())
    while (line := peer.line()).endswith(b"\n"):
        if line.startswith(_FILES):
            _take_files(peer, line)
            continue
        request = decode_request(line)
        _take_script(peer, request)
        peer.send(_answer(request, peer))
        gc.collect()


def _end_with(sock: socket.socket) -> None:
    """systemd kills what this process has started, gcc, when it ends."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll()
    os._exit(0)


def _take_files(peer: LineSocket, line: bytes) -> None:
    try:
        files = json.loads(line)["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"a compiler's first line names its files: {error}") from error
    for path, descriptor in zip(files, peer.taken(len(files)), strict=True):
        given_files.give(str(path), descriptor)


def _take_script(peer: LineSocket, request: Request) -> None:
    if request.source is not None and request.text is None:
        for descriptor in peer.taken(1):
            given_files.give(request.source, descriptor)


def _answer(request: Request, peer: LineSocket) -> bytes:
    here = replace(request, cache=None, output=None, older=False)
    response = compile_script(here, lambda text: peer.send(encode_progress(text)))
    module = Path(response.path).read_bytes() if response.path else b""
    return encode(replace(response, path="", size=len(module))) + module
