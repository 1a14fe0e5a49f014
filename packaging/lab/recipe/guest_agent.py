# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the host's commands inside the guest: one frame loop on a virtio-serial port.

Started by lab-agent.service. Must run on every guest's own Python (3.9 and newer) and with the
standard library alone.

    host: RUN 7 {"argv": ["echo", "hi"]}      guest: OUT 7 b"hi\n"   EXIT 7 {"status": 0}

A frame is a 9-byte header (kind, command number, payload length; big endian) and its payload. The
frame kinds are repeated in lab/channel.py, the host's end.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import pty
import selectors
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT_NAME = "stapwatch.lab"
HEADER = struct.Struct("!BII")
PING, CLOCK, RUN, STDIN, KILL, RESIZE = 1, 2, 3, 4, 5, 6
PONG, OUT, ERR, ACK, EXIT = 17, 18, 19, 20, 21
CHUNK = 1 << 16
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def find_port() -> str:
    """Return the port's device path: there is no udev, so no /dev/virtio-ports/NAME link."""
    for name in Path("/sys/class/virtio-ports").glob("*/name"):
        if name.read_text().strip() == PORT_NAME:
            return f"/dev/{name.parent.name}"
    raise SystemExit(f"no virtio-serial port is named {PORT_NAME}")


class Loop:
    """The port, the running commands and what each open descriptor waits for."""

    def __init__(self) -> None:
        self.port = os.open(find_port(), os.O_RDWR | os.O_CLOEXEC)
        self.selector = selectors.DefaultSelector()
        self.commands: dict[int, Command] = {}
        self.received = bytearray()
        self.watch(self.port, selectors.EVENT_READ, self.read_port)

    def watch(self, fd: int, events: int, react: Callable[[], object]) -> None:
        self.selector.register(fd, events, react)

    def drop(self, fd: int) -> None:
        self.selector.unregister(fd)
        os.close(fd)

    def send(self, kind: int, ident: int, payload: bytes = b"") -> None:
        rest = memoryview(HEADER.pack(kind, ident, len(payload)) + payload)
        while rest:
            rest = rest[os.write(self.port, rest) :]

    def send_json(self, kind: int, ident: int, value: Any) -> None:
        self.send(kind, ident, json.dumps(value).encode())

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select():
                # an earlier reaction in this round may have dropped this descriptor
                if self.selector.get_map().get(key.fd) is key:
                    key.data()

    def read_port(self) -> None:
        data = os.read(self.port, CHUNK)
        if not data:  # the host's end is closed for a moment while a snapshot is restored
            time.sleep(0.02)
            return
        self.received += data
        while len(self.received) >= HEADER.size:
            kind, ident, length = HEADER.unpack_from(self.received)
            end = HEADER.size + length
            if len(self.received) < end:
                return
            payload = bytes(self.received[HEADER.size : end])
            del self.received[:end]
            self.obey(kind, ident, payload)

    def obey(self, kind: int, ident: int, payload: bytes) -> None:
        command = self.commands.get(ident)
        if kind == PING:
            version = [sys.version_info[0], sys.version_info[1]]
            self.send_json(PONG, ident, {"release": os.uname().release, "python": version})
        elif kind == CLOCK:
            time.clock_settime(time.CLOCK_REALTIME, float(payload))
            self.send(PONG, ident, b"{}")
        elif kind == RUN:
            try:
                self.commands[ident] = Command(self, ident, json.loads(payload))
            except OSError as error:
                self.send_json(EXIT, ident, {"status": 127, "error": str(error)})
        elif command is None:
            return  # it ended while this frame was on its way
        elif kind == STDIN:
            command.feed(payload)
        elif kind == KILL:
            command.kill(int(payload))
        elif kind == RESIZE:
            command.resize(payload)


class Command:
    """One command in a session of its own, with pipes or a terminal."""

    def __init__(self, loop: Loop, ident: int, request: dict[str, Any]) -> None:
        self.loop, self.ident = loop, ident
        self.pending = bytearray()
        self.end_of_input = False
        self.stdin: int | None = None
        self.outputs: dict[int, int] = {}
        self.terminal: int | None = None
        environment = {**ENVIRONMENT, **request.get("env", {})}
        where = request.get("cwd") or "/root"
        if request.get("tty"):
            self.start_on_terminal(request, environment, where)
        else:
            self.start_on_pipes(request, environment, where)
        be_ordinary(self.process.pid)
        self.pidfd = os.pidfd_open(self.process.pid)
        loop.watch(self.pidfd, selectors.EVENT_READ, self.finish)
        for fd in self.outputs:
            os.set_blocking(fd, False)
            loop.watch(fd, selectors.EVENT_READ, functools.partial(self.relay, fd))

    def start_on_pipes(self, request: dict[str, Any], env: dict[str, str], where: str) -> None:
        wants_input = bool(request.get("stdin"))
        self.process = subprocess.Popen(
            request["argv"],
            stdin=subprocess.PIPE if wants_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=where,
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.outputs = {
            os.dup(self.process.stdout.fileno()): OUT,
            os.dup(self.process.stderr.fileno()): ERR,
        }
        self.process.stdout.close()
        self.process.stderr.close()
        if self.process.stdin is not None:
            self.stdin = os.dup(self.process.stdin.fileno())
            self.process.stdin.close()
            os.set_blocking(self.stdin, False)

    def start_on_terminal(self, request: dict[str, Any], env: dict[str, str], where: str) -> None:
        self.terminal, slave = pty.openpty()

        def own_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        try:
            self.resize(json.dumps(request["tty"]).encode())
            self.process = subprocess.Popen(
                request["argv"],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=env,
                cwd=where,
                start_new_session=True,
                preexec_fn=own_terminal,
            )
        except BaseException:
            os.close(self.terminal)
            raise
        finally:
            os.close(slave)
        self.outputs = {self.terminal: OUT}
        self.stdin = os.dup(self.terminal)
        os.set_blocking(self.stdin, False)

    def relay(self, fd: int) -> bool:
        """Send one chunk of output on; False at its end, or when nothing is there now."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: every user of the terminal has gone
            data = b""
        if data:
            self.loop.send(self.outputs[fd], self.ident, data)
            return True
        del self.outputs[fd]
        self.loop.drop(fd)
        return False

    def feed(self, data: bytes) -> None:
        """Queue input; the host keeps at most its window unacknowledged, so this stays small."""
        if data:
            self.pending += data
        else:
            self.end_of_input = True
        self.write_input()

    def write_input(self) -> None:
        if self.stdin is None:
            self.acknowledge(len(self.pending))
            self.pending.clear()
            return
        try:
            while self.pending:
                count = os.write(self.stdin, self.pending[:CHUNK])
                del self.pending[:count]
                self.acknowledge(count)
        except BlockingIOError:
            if self.stdin not in self.loop.selector.get_map():
                self.loop.watch(self.stdin, selectors.EVENT_WRITE, self.write_input)
            return
        except OSError:  # the reader has gone: swallow the rest, as a shell's pipe would
            self.acknowledge(len(self.pending))
            self.pending.clear()
            self.close_input()
            return
        if self.stdin in self.loop.selector.get_map():
            self.loop.selector.unregister(self.stdin)
        if self.end_of_input:
            if self.terminal is not None:
                os.write(self.stdin, b"\x04")
            self.close_input()

    def acknowledge(self, count: int) -> None:
        if count:
            self.loop.send(ACK, self.ident, b"%d" % count)

    def close_input(self) -> None:
        if self.stdin is None:
            return
        if self.stdin in self.loop.selector.get_map():
            self.loop.selector.unregister(self.stdin)
        os.close(self.stdin)
        self.stdin = None

    def resize(self, payload: bytes) -> None:
        if self.terminal is not None:
            rows, columns = json.loads(payload)
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)

    def kill(self, number: int) -> None:
        """Signal the command's group, and for SIGKILL all of its session (job control too)."""
        pids = {self.process.pid}
        if number == signal.SIGKILL:
            pids |= find_session(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        for pid in pids - {self.process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def finish(self) -> None:
        """Collect the exit status; what background children write later is nobody's."""
        status = self.process.wait()
        self.loop.drop(self.pidfd)
        for fd in list(self.outputs):
            while self.relay(fd):
                pass
        for fd in list(self.outputs):
            self.loop.drop(fd)
        self.close_input()
        del self.loop.commands[self.ident]
        self.loop.send_json(EXIT, self.ident, {"status": status})


def be_ordinary(pid: int) -> None:
    """Undo for a child the protection that the agent itself has against the OOM killer.

    From outside: a function run between fork and exec would cost a full fork, slow when emulated.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("0")


def find_session(leader: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.add(int(stat.parent.name))
    return found


if __name__ == "__main__":
    Loop().run()
