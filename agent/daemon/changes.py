# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of scripts, side by side: each script has its own, and the newest one of a script wins.

    task = changes.begin("vfs", work)        # work(change) runs as a task
    await change.wait(compiling)             # Superseded as soon as a newer change takes over
    change.take_over()                       # ends what the older change of this script waits for

A change waits for its compile without holding anything. What it does to modules happens under the script's
lock and is never cut short: a module is loaded or not, stopped or not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from agent.timeout import timeout

T = TypeVar("T")


class Superseded(Exception):
    """A newer change of the same script has taken over, or the agent stops."""


class Change:
    """One script's way to what the configuration wants."""

    def __init__(self, name: str, before: Change | None) -> None:
        self.name = name
        self.superseded = False
        self.task: asyncio.Task[None] | None = None
        self._before = before  # the older change, if it is still in progress
        self._waiting: asyncio.Future[Any] | None = None

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. If a newer change takes over meanwhile, `work` is cancelled."""
        if self.superseded:
            work.close()
            raise Superseded
        self._waiting = waiting = asyncio.ensure_future(work)
        try:
            return await waiting
        except asyncio.CancelledError:
            if self.superseded:
                raise Superseded from None
            raise
        finally:
            self._waiting = None

    def take_over(self) -> None:
        """End the older change. What it does to a module at this moment is completed first."""
        if self._before is not None:
            self._before.end()
            self._before = None

    def end(self) -> None:
        self.superseded = True
        self.take_over()
        if self._waiting is not None:
            self._waiting.cancel()

    async def after_older(self) -> None:
        """End the older change and wait until it has ended."""
        before = self._before
        self.take_over()
        if before is not None and before.task is not None:
            await asyncio.wait([before.task])


class Changes:
    """The changes in progress."""

    def __init__(self) -> None:
        self._newest: dict[str, Change] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self, name: str, work: Callable[[Change], Coroutine[Any, Any, None]]
    ) -> asyncio.Task[None]:
        """Start a change. Its task fails only because of a defect."""
        change = Change(name, self._newest.get(name))
        self._newest[name] = change

        async def run() -> None:
            try:
                with contextlib.suppress(Superseded):
                    await work(change)
            finally:
                change.take_over()
                if self._newest.get(name) is change:
                    del self._newest[name]

        change.task = task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def busy(self, name: str) -> bool:
        """True while a change of this script is in progress."""
        return name in self._newest

    def is_newest(self, change: Change) -> bool:
        return self._newest.get(change.name) is change

    async def end(self) -> None:
        """End all changes, and wait until the last one has ended."""
        for change in list(self._newest.values()):
            change.end()
        while self._tasks:
            await asyncio.wait(list(self._tasks))


async def all_done(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for all, also if one has failed, which is a defect."""
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        task.result()


class Shared(Generic[T]):
    """Work that several changes may wait for: it is done once, and ends with the last one that waits."""

    def __init__(self) -> None:
        self._running: dict[Hashable, _Work[T]] = {}

    def join(
        self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]
    ) -> Coroutine[Any, Any, T]:
        """Count as waiting from now on. The result must be awaited."""
        work = self._running.get(key)
        if work is None or work.task.done():
            work = self._running[key] = _Work(asyncio.get_running_loop().create_task(make()))
        work.waiting += 1
        return self._result(key, work)

    async def _result(self, key: Hashable, work: _Work[T]) -> T:
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting:
                if self._running.get(key) is work:
                    del self._running[key]
                if not work.task.done():
                    work.task.cancel()
                    await asyncio.wait([work.task])


class _Work(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task, self.waiting = task, 0


class LookUps:
    """Look-ups in the cache. Compiles wait until there are none: what is cached needs the processors first.

    One that hangs, as on a network file system, delays them by `patience` seconds only.
    """

    def __init__(self, patience: float = 10.0) -> None:
        self._patience = patience
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def over(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with timeout(self._patience):
                await self._none.wait()
