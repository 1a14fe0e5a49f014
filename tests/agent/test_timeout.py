# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import asyncio

import pytest

from agent.timeout import timeout
from tests.agent.conftest import run


def test_what_takes_too_long_is_cancelled() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async def main() -> None:
        async with timeout(0.01):
            await work()

    with pytest.raises(TimeoutError):
        run(main())
    assert ended == [True]


def test_what_is_done_in_time_is_left_alone() -> None:
    async def main() -> str:
        async with timeout(0):
            result = "done"
        for _ in range(3):
            await asyncio.sleep(0)  # the time that has passed cancels nothing later
        return result

    assert run(main()) == "done"


def test_an_error_of_the_work_stays_what_it_is() -> None:
    async def main() -> None:
        async with timeout(60):
            raise KeyError("x")

    with pytest.raises(KeyError):
        run(main())


def test_cancelling_from_outside_is_no_timeout() -> None:
    async def main() -> bool:
        began = asyncio.Event()

        async def work() -> None:
            async with timeout(60):
                began.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await began.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run(main())


def test_the_outer_of_two_ends_both() -> None:
    async def main() -> str:
        try:
            async with timeout(0.01), timeout(60):
                await asyncio.Event().wait()
        except TimeoutError:
            return "outer"
        return "none"

    assert run(main()) == "outer"
