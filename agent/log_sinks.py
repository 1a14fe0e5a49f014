# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured logs: to journald in its native protocol, as text to a terminal, else as JSON lines.

    configure(LogSettings()); log().info("loaded", script="vfs")
    -> {"event": "loaded", "level": "info", "script": "vfs", "timestamp": "2024-05-01T12:00:00.000000Z"}

Nothing here blocks the event loop: lines that a full journal or pipe cannot take yet wait in a bounded queue,
and those that find it full are lost and counted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import queue
import re
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Container, Mapping, MutableMapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import structlog

from agent.config.settings import LogFormat, LogSettings
from runtime.support.escapes import printable, readable
from runtime.support.record import record

JOURNAL = "/run/systemd/journal/socket"
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_LEVEL = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_LAYOUT = "\t\n"  # control characters that text keeps
_QUEUED = 1 << 20  # bytes of lines that wait
_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
RESERVED = {
    "event",
    "level",
    "timestamp",
    "script",
    "probe",
    "cpu",
    "message",
    "priority",
    "message_id",
}
# journald and its readers give these a meaning
_JOURNAL_FIELDS = ("syslog_", "code_", "object_", "coredump_")
_LINE_LEVELS = {"warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}


class Escaped(str):
    """A message whose control characters are escaped already: `runtime.support.escapes` is not idempotent."""


@record(frozen=False, eq=False)
class LineCount:
    """Counts the lines of one source. One thread writes each number."""

    now: int = 0  # written at once
    later: int = 0  # by the sink's thread
    refused: int = 0  # they found the queue full
    failed: int = 0  # in the sink's thread

    @property
    def written(self) -> int:
        return self.now + self.later

    @property
    def lost(self) -> int:
        return self.refused + self.failed


class Sink(Protocol):
    @property
    def lost(self) -> int: ...

    def write(self, entry: Mapping[str, Any], count: LineCount | None = None) -> None: ...

    def written(self, done: Callable[[], None]) -> bool: ...

    def close(self) -> None: ...


@record(eq=False)
class _Line:
    """A line that waits, and who counts it."""

    data: bytes
    counts: tuple[LineCount, ...]

    def add(self, outcome: str) -> None:
        for count in self.counts:
            setattr(count, outcome, getattr(count, outcome) + 1)


class _QueueSink:
    """A sink with a bounded queue, which a thread empties that the reader may block."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Line | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Each number has one writer: the agent's thread, or this sink's.
        self._put, self._done = 0, 0  # bytes
        self._all = LineCount()

    @property
    def lost(self) -> int:
        """Lines that found the queue full, or could not be written."""
        return self._all.lost

    def write(self, entry: Mapping[str, Any], count: LineCount | None = None) -> None:
        """Write a line now or later, or lose it, and count it then. Never blocks."""
        line = _Line(self._encode(entry), (self._all,) if count is None else (self._all, count))
        waiting = self._put - self._done
        try:
            if not waiting and self._write_now(line.data):
                line.add("now")
                return
        except OSError:
            line.add("refused")
            return
        if waiting and waiting + len(line.data) > _QUEUED:
            line.add("refused")
            return
        self._put += len(line.data)
        self._add(line)

    def written(self, done: Callable[[], None]) -> bool:
        """Whether no line waits. If some do, `done` is called when they are out, in another thread."""
        if self._put == self._done:
            return True
        self._add(done)
        return False

    def close(self) -> None:
        """Write the lines that wait, for two seconds at most."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(2)
            if self._thread.is_alive():  # it goes on with its line, and finds no other
                self._discard()

    def _discard(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if callable(item):
                    item()
                elif item is not None:
                    item.add("refused")
        self._queue.put(None)

    def _add(self, item: _Line | Callable[[], None]) -> None:
        self._queue.put(item)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if callable(item):
                item()
                continue
            try:
                self._send(item.data)
                item.add("later")
            except OSError:
                item.add("failed")
            self._done += len(item.data)

    def _encode(self, entry: Mapping[str, Any]) -> bytes:
        raise NotImplementedError

    def _write_now(self, data: bytes) -> bool:
        """Write a line if that is possible at once. OSError: it cannot be written."""
        return False

    def _send(self, data: bytes) -> None:
        """Write a line, however long it takes."""
        raise NotImplementedError


class JsonSink(_QueueSink):
    """JSON lines to a file descriptor, all of them by the thread: a pipe can only be asked to block."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor

    def _encode(self, entry: Mapping[str, Any]) -> bytes:
        line = json.dumps(entry, default=str, ensure_ascii=False)
        return line.encode(errors="backslashreplace") + b"\n"

    def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another process has made it so
                select.select([], [self._descriptor], [])


class TextSink(JsonSink):
    """Lines for people: the time of day, the level if it is one to notice, and the message."""

    def _encode(self, entry: Mapping[str, Any]) -> bytes:
        level = _LINE_LEVELS.get(str(entry.get("level")), "")
        moment = str(entry.get("timestamp", ""))[11:19]
        script = entry.get("script", "")
        text = str(entry.get("event", ""))
        parts = [moment, level, f"[{script}]" if script and str(script) not in text else "", text]
        if trace := entry.get("exception"):
            parts.append(f"\n{printable(str(trace), _LAYOUT)}")
        line = " ".join(filter(None, parts))
        return line.encode(errors="backslashreplace") + b"\n"


class JournalSink(_QueueSink):
    """journald's native protocol, with MESSAGE, PRIORITY and each field under its upper-case name.

    A line is sent at once; the thread sends those that the journal cannot take yet.
    """

    def __init__(self, path: str = JOURNAL) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)

    def _encode(self, entry: Mapping[str, Any]) -> bytes:
        return journal_datagram(entry)

    def _write_now(self, data: bytes) -> bool:
        try:
            self._send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def _send(self, data: bytes, flags: int = 0) -> None:
        try:
            self._socket.sendto(data, flags, self._path)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._send_file(data, flags)  # too large for a datagram

    def close(self) -> None:
        super().close()
        if self._thread is None or not self._thread.is_alive():
            self._socket.close()

    def _send_file(self, data: bytes, flags: int) -> None:
        file = os.memfd_create("stapwatch-log", os.MFD_ALLOW_SEALING)
        try:
            os.write(file, data)
            # journald accepts only sealed files
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _ALL_SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file))
            self._socket.sendmsg([b""], [rights], flags, self._path)
        finally:
            os.close(file)


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
_lowest = _LEVEL["info"]  # of the levels that are logged
_lost_before = 0  # lines of sinks that were replaced


def chosen(given: LogFormat) -> LogFormat:
    """The format that `auto` stands for: by what the log is connected to."""
    if given is not LogFormat.AUTO:
        return given
    if under_journald():
        return LogFormat.JOURNALD
    return LogFormat.TEXT if os.isatty(2) else LogFormat.JSON


def unusable(given: LogFormat) -> str:
    """Why a format cannot be used here, or ""."""
    if chosen(given) is LogFormat.JOURNALD and not Path(JOURNAL).exists():
        return f"there is no journal at {JOURNAL}"
    return ""


def configure(settings: LogSettings) -> Sink:
    """Send all logs to the sink of the settings; may be called again."""
    global _sink, _lowest, _lost_before
    _lowest = _LEVEL[settings.level]
    wanted: Callable[[], Sink]
    match chosen(settings.format):
        case LogFormat.JOURNALD:
            wanted = JournalSink
        case LogFormat.TEXT:
            wanted = TextSink
        case _:
            wanted = JsonSink
    if type(_sink) is not wanted:
        if _sink is not None:
            _sink.close()
            _lost_before += _sink.lost
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
    global _sink, _lost_before
    if _sink is not None:
        _sink.close()
        _sink, _lost_before = None, 0


def lost() -> int:
    """The number of lines lost because the journal or the pipe was full."""
    return _lost_before + (_sink.lost if _sink is not None else 0)


def written(done: Callable[[], None]) -> bool:
    """Whether all lines are out. If not, `done` is called when those of now are, in any thread."""
    return _sink is None or _sink.written(done)


def write_line(
    level: str, text: str, fields: Mapping[str, object], count: LineCount | None = None
) -> None:
    """Log a line with fields of any name: as keywords, some would be the logger's own parameters.

    `count` learns what becomes of it, unless lines of this level are not logged.
    """
    if _LEVEL[level] >= _lowest:
        entry: MutableMapping[str, Any] = {"event": text, "level": level, **fields}
        _send(_escape(None, level, _add_timestamp(None, level, entry)), count)


@functools.lru_cache(256)
def field_names(names: tuple[str, ...]) -> Mapping[str, str]:
    """A name in the log for each variable of a script: `event` becomes `arg_event`."""
    found: dict[str, str] = {}
    for name in names:
        lower = name.lower().lstrip("_")
        known = lower in RESERVED or lower.startswith(_JOURNAL_FIELDS)
        field = f"arg_{name}" if known else name
        while field in found.values() or (field != name and field in names):
            field = f"arg_{field}"
        found[name] = field
    return found


def log() -> Any:
    """The logger; bind fields with `.bind(script=...)`."""
    return structlog.get_logger()


def isotime(nanoseconds: int) -> str:
    """ns since 1970 as RFC 3339 with microseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _add_timestamp(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "timestamp" not in entry:
        entry["timestamp"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return entry


def _escape(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make text of what is not UTF-8, and escape control characters in the message; fields keep them."""
    for key, value in entry.items():
        if key == "event" and not isinstance(value, Escaped):
            entry[key] = printable(str(value), _LAYOUT)
        elif key != "event" and not isinstance(value, int | float | None):
            entry[key] = readable(str(value))
    return entry


def _send(entry: Mapping[str, Any], count: LineCount | None = None) -> None:
    if _sink is not None:
        _sink.write(entry, count)
    else:
        sys.stderr.write(f"{entry}\n")


def _deliver(_: Any, __: str, entry: MutableMapping[str, Any]) -> str:
    _send(entry)
    raise structlog.DropEvent
