# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of one script: the newest wins, and what an older one waits for ends."""

from __future__ import annotations

import asyncio

import pytest

from agent.daemon.changes import Change, Changes, LookUps, Shared
from tests.agent.conftest import run, until


def test_a_newer_change_ends_what_the_older_waits_for() -> None:
    done: list[str] = []

    async def work() -> None:
        changes = Changes()

        async def older(change: Change) -> None:
            try:
                await change.wait(asyncio.sleep(600))
            finally:
                done.append("older ended")
            done.append("never")

        async def newer(change: Change) -> None:
            change.take_over()
            done.append("newer")

        first = changes.begin("a", older)
        other = changes.begin("b", lambda change: change.wait(asyncio.sleep(0)))
        await asyncio.sleep(0)
        second = changes.begin("a", newer)
        await asyncio.gather(first, second, other)
        assert not changes.busy("a") and not changes.busy("b")

    run(work())
    assert done == ["newer", "older ended"]


def test_what_waits_for_nothing_is_completed() -> None:
    done: list[str] = []

    async def work() -> None:
        changes = Changes()
        lock, loaded = asyncio.Lock(), asyncio.Event()

        async def loading(change: Change) -> None:
            async with lock:
                await loaded.wait()
                done.append(f"{change.superseded}")

        first = changes.begin("a", loading)
        await until(lock.locked)

        async def newer(change: Change) -> None:
            change.take_over()
            loaded.set()
            await loading(change)

        await changes.begin("a", newer)
        assert first.done()

    run(work())
    assert done == ["True", "False"]


def test_the_end_of_all() -> None:
    async def work() -> None:
        changes = Changes()
        tasks = [
            changes.begin(name, lambda change: change.wait(asyncio.sleep(600)))
            for name in ("a", "a", "b")
        ]
        await changes.end()
        assert all(task.done() and task.exception() is None for task in tasks)

    run(work())


def test_a_defect_is_not_hidden() -> None:
    async def work() -> None:
        async def broken(change: Change) -> None:
            raise RuntimeError("a defect")

        with pytest.raises(RuntimeError, match="a defect"):
            await Changes().begin("a", broken)

    run(work())


def test_shared_work_is_done_once_and_ends_with_the_last_who_waits() -> None:
    began: list[int] = []
    ended: list[str] = []

    async def work() -> None:
        shared: Shared[str] = Shared()
        gate = asyncio.Event()

        async def make() -> str:
            began.append(1)
            try:
                await gate.wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return "made"

        first = asyncio.create_task(shared.join("key", make))
        second = asyncio.create_task(shared.join("key", make))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gate.set()
        assert await second == "made" and len(began) == 1
        gate.clear()
        third = asyncio.create_task(shared.join("key", make))
        await until(lambda: len(began) == 2)
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        assert ended == ["cancelled"]

    run(work())


def test_compiles_wait_for_look_ups_but_not_for_ever() -> None:
    async def work() -> None:
        look_ups = LookUps(patience=0.05)
        await look_ups.over()
        with look_ups.one():
            waiting = asyncio.create_task(look_ups.over())
            await asyncio.sleep(0)
            assert not waiting.done()
            await waiting  # one that hangs
        patient = LookUps()
        with patient.one():
            waiting = asyncio.create_task(patient.over())
            await asyncio.sleep(0)
        await waiting

    run(work())
