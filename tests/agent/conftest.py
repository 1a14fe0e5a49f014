# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's log lines as a list of dictionaries, an event loop with a time limit, and certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import pytest

from agent import log_sinks
from agent.config.settings import LogFormat, LogSettings
from agent.log_sinks import LineCount
from tests.agent import pages
from tests.agent.certificates import Certificates

T = TypeVar("T")
PATIENCE = 60.0  # seconds after which a test counts as hung; none takes a tenth of it


class Lines:
    """A sink that stores the log lines."""

    def __init__(self) -> None:
        self.lost = 0
        self.entries: list[dict[str, Any]] = []

    def write(self, entry: Mapping[str, Any], count: LineCount | None = None) -> None:
        self.entries.append(dict(entry))
        if count is not None:
            count.now += 1

    def written(self, done: Callable[[], None]) -> bool:
        return True

    def close(self) -> None:
        pass

    @property
    def texts(self) -> list[str]:
        return [entry["event"] for entry in self.entries]


@pytest.fixture(autouse=True)
def pages_are_checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test with the mark `names_against_rules` chooses names that promtool advises against."""
    against_rules = request.node.get_closest_marker("names_against_rules") is not None
    with pages.watching(advice=not against_rules):
        yield


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    found = Lines()
    monkeypatch.setattr(log_sinks, "JsonSink", lambda: found)
    log_sinks.configure(LogSettings(level="debug", format=LogFormat.JSON))
    yield found
    log_sinks.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


async def until(true: Any) -> None:
    """Wait until other tasks of the loop make a condition true."""
    while not true():
        await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))
