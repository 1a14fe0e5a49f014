# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers the agent's calls on the socket that systemd has opened (agent/scripts/loader_client.py).

    serve(listening_socket, Operations(...), idle=5.0, stop=fd)   # returns when nobody has asked for so long

When `stop` becomes readable, it serves those who have called before until they have ended: systemd stops the
loader together with the agent, which then has modules to unload.

One thread for each connection; a call is one line, and so is its answer:

    {"do": "open", "name": "sw_vfs_1a2b3c4d"}   -> {"done": null} and a descriptor
    {"do": "unload", "name": "nf_tables"}       -> {"error": "module nf_tables is not one of stapwatch's"}
    {"build": {...}}                            -> lines of progress, then the response
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import threading
import traceback

from agent.loader.callers import Callers
from agent.loader.operations import Operations
from agent.scripts.kernel_modules import BusyError, ModuleError
from agent.scripts.loader_calls import BUILD
from agent.scripts.systemd_jobs import SystemdError
from compiler.protocol import Diagnostic, ProtocolError, Response, encode
from runtime.support.line_socket import LineSocket

_LAST = 2.0  # seconds without a call after which it ends when it is to end
_DEFECT = "a defect of the loader (journalctl -u stapwatch-loader)"


def serve(listening: socket.socket, operations: Operations, idle: float, stop: int) -> None:
    """`idle`: seconds without a connection after which it returns; systemd keeps the socket.
    `stop`: a descriptor that becomes readable when the loader is to end."""
    threads: set[threading.Thread] = set()
    with selectors.DefaultSelector() as selector, contextlib.closing(Callers(selector)) as callers:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(stop, selectors.EVENT_READ)
        stopping = False
        while not stopping or callers.alive:
            ready = [key.fileobj for key, _ in selector.select(_LAST if stopping else idle)]
            for item in ready:
                if item is listening:
                    sock, _ = listening.accept()
                    callers.add(sock)
                    threads.add(_start(sock, operations))
                elif not callers.ended(item):
                    selector.unregister(stop)
                    stopping = True
            threads = {thread for thread in threads if thread.is_alive()}
            if not ready and not threads:
                return


def _start(sock: socket.socket, operations: Operations) -> threading.Thread:
    """A thread that answers the calls of a connection."""
    thread = threading.Thread(target=_converse, args=(LineSocket(sock), operations), daemon=True)
    thread.start()
    return thread


def _converse(peer: LineSocket, operations: Operations) -> None:
    """Answer the calls of one connection."""
    with contextlib.closing(peer), contextlib.suppress(OSError):  # the agent is gone
        while line := peer.line():
            if line.startswith(BUILD):
                _compile(peer, line, operations)
                return
            _answer(peer, line, operations)


def _compile(peer: LineSocket, line: bytes, operations: Operations) -> None:
    """From now on the connection is one for compiles, and one compiler serves it. A compile ends with it."""
    from agent.loader.sandbox import Sandbox, SandboxError

    try:
        with contextlib.closing(Sandbox(peer)) as sandbox:
            while line:
                peer.send(operations.build(json.loads(line)["build"], sandbox))
                line = peer.line()
    except (SandboxError, ProtocolError, ValueError, KeyError) as error:
        print(f"a compile has ended: {error}", file=sys.stderr)  # and the agent tries it again
    except ConnectionError:
        raise  # the agent is gone
    except Exception as error:
        traceback.print_exc()
        message = f"{_DEFECT}: {error!r}"
        peer.send(encode(Response(False, errors=(Diagnostic("internal-error", message),))))


def _answer(peer: LineSocket, line: bytes, operations: Operations) -> None:
    descriptors: list[int] = []
    try:
        done, descriptors = operations.do(json.loads(line), peer)
        answer: dict[str, object] = {"done": done}
    except (ModuleError, ProtocolError, SystemdError, ValueError) as error:
        answer = {"error": str(error), "busy": isinstance(error, BusyError)}
    except OSError as error:  # of a device, or of a file
        answer = {"error": error.strerror or str(error), "errno": error.errno or 0}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{_DEFECT}: {error!r}"}
    try:
        peer.send(json.dumps(answer).encode() + b"\n", descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
