# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of a script under `stapwatch run`: standard output, or the files of -o and -S.

output = Output.open("log-%F", Rotation(megabytes=10, files=3))     -> log-2026-01-31.0, then .1, ...
output.write(b"one line\\n")
output.flush()                                                      -> both are written with one system call
output.switch()                                                     -> continue in the next file
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from runtime.support.record import record

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
_STDOUT = 1
_LARGE = 1 << 16  # bytes


@record
class Rotation:
    """-S: the size of a file, and how many files are kept (None: all)."""

    megabytes: int
    files: int | None = None


def expanded(name: str) -> str:
    """The name of an output file, with strftime()'s directives expanded."""
    return time.strftime(name) if "%" in name else name


class Output:
    """Holds its input back until `release`, and then until there is much of it, or `flush` is called.
    `end` is called when the pipe is closed, or after an error in writing, which `say` reports."""

    def __init__(self, end: Callable[[], None], say: Callable[[str], None]) -> None:
        self._end, self._say = end, say
        self._fd = _STDOUT
        self._name: str | None = None
        self._rotation: Rotation | None = None
        self._number = 0
        self._size = 0
        self._held: list[Callable[[], None]] | None = []  # None: released
        self._parts: list[bytes] = []  # written by the next flush
        self._waiting = 0  # bytes of them

    def to(self, name: str, rotation: Rotation | None) -> None:
        """Write to a file from now on. OSError if it cannot be created."""
        self._name, self._rotation = expanded(name), rotation
        self._open(self._name if rotation is None else f"{self._name}.0")

    def write(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(lambda: self._add(data))
        else:
            self._add(data)

    def flush(self) -> None:
        """Write what waits, unless it is held back."""
        data, self._parts, self._waiting = b"".join(self._parts), [], 0
        if data:
            self._write(data)

    def switch(self) -> None:
        """Continue in the next file; does nothing without -o."""
        self.after(self._switch)

    def after(self, action: Callable[[], None]) -> None:
        """Call `action` when everything before it has been written."""
        if self._held is not None:
            self._held.append(lambda: self.after(action))
        else:
            self.flush()
            action()

    def release(self) -> None:
        """Write what was held back, and hold nothing from now on."""
        held, self._held = self._held or [], None
        for action in held:
            action()
        self.flush()

    def _add(self, data: bytes) -> None:
        self._parts.append(data)
        self._waiting += len(data)
        full = self._rotation and self._size + self._waiting >= self._rotation.megabytes << 20
        if full or self._waiting > _LARGE:
            self.flush()

    def _write(self, data: bytes) -> None:
        try:
            while data:
                done = os.write(self._fd, data)
                self._size += done
                data = data[done:]
        except BrokenPipeError:
            self._end()
        except OSError as error:
            self._fail(f"cannot write the output: {error.strerror}")
        if self._rotation is not None and self._size >= self._rotation.megabytes << 20:
            self._switch()

    def _switch(self) -> None:
        if self._name is None:
            return
        self._number += 1
        name = f"{self._name}.{self._number}"
        try:
            self._open(name)
        except OSError as error:
            self._fail(f"cannot write {name}: {error.strerror}")
        if self._rotation is not None and self._rotation.files is not None:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._name}.{self._number - self._rotation.files}").unlink()

    def _fail(self, message: str) -> None:
        self._say(f"error: {message}")
        self._end()

    def _open(self, name: str) -> None:
        fd = os.open(name, _FLAGS, 0o644)
        if self._fd != _STDOUT:
            os.close(self._fd)
        self._fd, self._size = fd, 0
