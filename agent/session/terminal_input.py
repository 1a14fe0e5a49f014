# SPDX-License-Identifier: GPL-2.0-or-later
"""Input for a script's input.char probes: each byte of standard input, without echo and line buffering.

with Keyboard(device.press) as keys:     # turns echo off; the terminal is restored afterwards
    ...
    keys.listen()                        # from now on, in the running loop
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Callable
from typing import Any

_STDIN = 0
_BYTES = 256  # of one read()
_ECHO, _CONTROL_CHARACTERS = 3, 6  # indices into the result of tcgetattr()


class Keyboard:
    """`press` is called for each byte, in order."""

    def __init__(self, press: Callable[[int], None]) -> None:
        self._press = press
        self._before: list[Any] | None = None
        self._plain = False
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Keyboard:
        # not in the background: a job that changes its terminal is stopped
        if _is_ours():
            self._before = termios.tcgetattr(_STDIN)
            mode = termios.tcgetattr(_STDIN)
            mode[_ECHO] &= ~(termios.ECHO | termios.ICANON)
            mode[_CONTROL_CHARACTERS][termios.VMIN] = 1
            mode[_CONTROL_CHARACTERS][termios.VTIME] = 0
            termios.tcsetattr(_STDIN, termios.TCSANOW, mode)
        return self

    def listen(self) -> None:
        """Read standard input in the running loop."""
        try:
            self._loop.add_reader(_STDIN, self._readable)
        except PermissionError:  # a plain file, which is always readable
            self._plain = True
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        data = b""
        with contextlib.suppress(OSError):  # a job in the background that reads its terminal
            data = os.read(_STDIN, _BYTES)
        for byte in data:
            self._press(byte)
        if not data:
            self._loop.remove_reader(_STDIN)
        elif self._plain:
            self._loop.call_soon(self._readable)

    def __exit__(self, *_: object) -> None:
        self._plain = False
        self._loop.remove_reader(_STDIN)
        if self._before is not None:
            termios.tcsetattr(_STDIN, termios.TCSANOW, self._before)


def _is_ours() -> bool:
    try:
        return os.isatty(_STDIN) and os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return False  # the terminal of another session
