# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured logs: to journald in its native protocol under systemd, else JSON lines on stderr.

    configure(LogSettings()); log().info("loaded", script="vfs")
    -> {"event": "loaded", "level": "info", "script": "vfs", "timestamp": "2024-05-01T12:00:00.000000Z"}

Nothing here blocks the event loop: lines that a full journal or pipe cannot take are lost and counted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import queue
import re
import socket
import struct
import sys
import threading
from collections.abc import Container, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from agent.config.settings import LogFormat, LogSettings
from runtime.support.escapes import printable, readable

JOURNAL = "/run/systemd/journal/socket"
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_LEVEL = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_QUEUE = 10_000
_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
RESERVED = {"event", "level", "timestamp", "script", "probe", "cpu", "message", "priority"}


class Escaped(str):
    """A message whose control characters are escaped already: `runtime.support.escapes` is not idempotent."""


class Sink(Protocol):
    lost: int

    def write(self, entry: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


class JsonSink:
    """JSON lines to a file descriptor, written by a thread that a stalled reader may block."""

    def __init__(self, descriptor: int = 2) -> None:
        self.lost = 0
        self._descriptor = descriptor
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, default=str, ensure_ascii=False)
        try:
            self._queue.put_nowait(line.encode(errors="backslashreplace") + b"\n")
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write the queued lines, for two seconds at most."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=1)
        self._thread.join(2)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                self.lost += 1


class JournalSink:
    """journald's native protocol, with MESSAGE, PRIORITY and each field under its upper-case name."""

    def __init__(self, path: str = JOURNAL) -> None:
        self.lost = 0
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)

    def write(self, entry: Mapping[str, Any]) -> None:
        data = journal_datagram(entry)
        try:
            self._socket.sendto(data, self._path)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:  # too large for a datagram: send it as a file
                self._send_file(data)
            else:
                self.lost += 1

    def close(self) -> None:
        self._socket.close()

    def _send_file(self, data: bytes) -> None:
        try:
            file = os.memfd_create("stapwatch-log", os.MFD_ALLOW_SEALING)
            try:
                os.write(file, data)
                # journald accepts only sealed files
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, _ALL_SEALS)
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file))
                self._socket.sendmsg([b""], [rights], 0, self._path)
            finally:
                os.close(file)
        except OSError:
            self.lost += 1


def journal_datagram(entry: Mapping[str, Any]) -> bytes:
    """One entry in journald's format: NAME=value, or NAME, length and bytes for values with newlines."""
    fields: dict[str, str] = {"SYSLOG_IDENTIFIER": "stapwatch"}
    for key, value in entry.items():
        if key == "event":
            fields["MESSAGE"] = str(value)
        elif key == "level":
            fields["PRIORITY"] = str(_PRIORITY.get(str(value), 6))
        else:
            fields[_field_name(key, fields)] = str(value)
    parts = []
    for name, text in fields.items():
        data = text.encode(errors="backslashreplace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def _field_name(key: str, taken: Container[str]) -> str:
    """A name that journald accepts; `Pid` and `pid` do not become one field."""
    name = re.sub(r"[^A-Z0-9_]", "_", key.upper()).strip("_")[:60]
    name = f"X{name}" if not name or name[0].isdigit() else name
    unique, again = name, 2
    while unique in taken or unique in ("MESSAGE", "PRIORITY"):
        unique, again = f"{name}_{again}", again + 1
    return unique


def under_journald(descriptor: int = 2) -> bool:
    """Whether systemd connected this stream to the journal, according to $JOURNAL_STREAM."""
    try:
        stat = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


_sink: Sink | None = None


def configure(settings: LogSettings) -> Sink:
    """Send all logs to the sink of the settings; may be called again."""
    global _sink
    journal = settings.format is LogFormat.JOURNALD or (
        settings.format is LogFormat.AUTO and under_journald()
    )
    wanted = JournalSink if journal else JsonSink
    if type(_sink) is not wanted:
        if _sink is not None:
            _sink.close()
        _sink = wanted()
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            _add_timestamp,
            _escape,
            _deliver,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVEL[settings.level]),
        logger_factory=lambda *_: None,
        cache_logger_on_first_use=False,
    )
    return _sink


def close() -> None:
    global _sink
    if _sink is not None:
        _sink.close()
        _sink = None


def lost() -> int:
    """The number of lines lost because the journal or the pipe was full."""
    return _sink.lost if _sink is not None else 0


def log() -> Any:
    """The logger; bind fields with `.bind(script=...)`."""
    return structlog.get_logger()


def isotime(nanoseconds: int) -> str:
    """ns since 1970 as RFC 3339 with microseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _add_timestamp(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "timestamp" not in entry:
        entry["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return entry


def _escape(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make text of what is not UTF-8, and escape control characters in the message; fields keep them."""
    for key, value in entry.items():
        if key == "event" and not isinstance(value, Escaped):
            entry[key] = printable(str(value), "\t\n")
        elif key != "event" and not isinstance(value, int | float | None):
            entry[key] = readable(str(value))
    return entry


def _deliver(_: Any, __: str, entry: MutableMapping[str, Any]) -> str:
    if _sink is not None:
        _sink.write(entry)
    else:
        sys.stderr.write(f"{entry}\n")
    raise structlog.DropEvent
