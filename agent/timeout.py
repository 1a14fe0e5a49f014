# SPDX-License-Identifier: GPL-2.0-or-later
"""asyncio.timeout, which Python 3.10 does not have yet.

    async with timeout(5):
        await child.wait()  # TimeoutError after 5 s

Only in Python 3.10, a task that something else cancels in the turn of the loop in which the time ends gets
TimeoutError instead of CancelledError: tasks do not count there how often they were cancelled.
"""

from __future__ import annotations

import asyncio
import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:

    class timeout:
        """Cancels what its block waits for after so many seconds, and raises TimeoutError then."""

        def __init__(self, seconds: float) -> None:
            self._seconds = seconds
            self._ended = False

        async def __aenter__(self) -> None:
            task = asyncio.current_task()
            assert task is not None  # a coroutine runs in one
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._end, task)

        async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
            self._timer.cancel()
            if self._ended and kind is asyncio.CancelledError:
                raise TimeoutError

        def _end(self, task: asyncio.Task[object]) -> None:
            self._ended = True
            task.cancel()


__all__ = ["timeout"]
