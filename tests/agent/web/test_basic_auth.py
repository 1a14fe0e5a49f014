# SPDX-License-Identifier: GPL-2.0-or-later
"""Users and passwords: what bcrypt says, how often it is asked, and how long a stranger waits."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import threading

import pytest

from agent.web import basic_auth
from agent.web.basic_auth import Logins, credentials, problem
from tests.agent.conftest import run

# "secret"; the same hash is written in three ways
SECRET = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
USERS = {"bob": SECRET}


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Counting:
    """A comparison that counts, and takes as long as the test wants."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        self.asked.append((password, hashed))
        return password == b"secret"


@pytest.mark.parametrize("kind", ["2a", "2b", "2y"])
def test_real_hashes(kind: str) -> None:
    assert problem() == ""
    users = {"bob": SECRET.replace("2y", kind, 1)}

    async def work() -> None:
        logins = Logins()
        assert await logins.check(header("bob", "secret"), users)
        assert not await logins.check(header("bob", "Secret"), users)
        assert not await logins.check(header("bob", ""), users)
        assert not await logins.check(header("bob", "secret\0"), users)
        assert not await logins.check(header("eve", "secret"), users)
        assert not await logins.check("", users)
        assert not await logins.check(header("bob", "secret"), {})

    run(work())


def test_the_package_where_there_is_no_libcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic_auth, "_LIBRARIES", ("libnone.so.1",))
    basic_auth._matcher.cache_clear()
    try:
        if importlib.util.find_spec("bcrypt") is None:
            assert problem().endswith("; install libcrypt1 or python3-bcrypt")
            return
        assert problem() == ""
        logins = Logins()
        assert run(logins.check(header("bob", "secret"), USERS))
        assert not run(logins.check(header("bob", "secret\0"), USERS))
        assert not run(logins.check(header("bob", "x" * 100), USERS))
    finally:
        basic_auth._matcher.cache_clear()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (header("bob", "a:b"), ("bob", b"a:b")),
        (header("bob", "").replace("Basic", "bAsIc"), ("bob", b"")),
        ("Basic " + base64.b64encode(b"nocolon").decode(), None),
        ("Basic " + base64.b64encode(b"\xff:x").decode(), None),
        ("Basic !!!!", None),
        ("Bearer abc", None),
        ("", None),
    ],
)
def test_headers(text: str, found: tuple[str, bytes] | None) -> None:
    assert credentials(text) == found


def test_a_scrape_costs_no_comparison() -> None:
    async def work() -> None:
        count = Counting()
        logins = Logins(count)
        for _ in range(5):
            assert await logins.check(header("bob", "secret"), USERS)
        assert len(count.asked) == 1
        for _ in range(5):
            assert not await logins.check(header("bob", "wrong"), USERS)
        assert len(count.asked) == 2
        for n in range(500):
            assert not await logins.check(header("bob", f"wrong {n}"), USERS)
        before = len(count.asked)
        assert await logins.check(header("bob", "secret"), USERS)
        assert len(count.asked) == before, "guesses do not push it out"
        changed = {"bob": SECRET.replace("abc", "xyz")}
        await logins.check(header("bob", "secret"), changed)
        assert len(count.asked) == before + 1, "a changed hash holds at once"

    run(work())


def test_an_unknown_user_costs_as_much_as_a_known_one() -> None:
    async def work() -> None:
        count = Counting()
        logins = Logins(count)
        dear = SECRET.replace("$04$", "$12$")
        users = {"bob": SECRET, "amy": dear}
        assert not await logins.check(header("eve", "secret"), users)
        assert count.asked == [(b"secret", dear.encode())]
        assert not await logins.check(header("eve", "secret"), users), "nor when it is remembered"
        assert await logins.check(header("amy", "secret"), users)

    run(work())


def test_guesses_at_once_are_bounded() -> None:
    """Many guesses wait for one thread; more than that are refused without a comparison."""

    async def work() -> None:
        count, may_end = Counting(), threading.Event()

        def matches(password: bytes, hashed: bytes) -> bool:
            return may_end.wait(60) and count(password, hashed)

        logins = Logins(matches)
        checks = (logins.check(header("bob", f"{n}"), USERS) for n in range(200))
        asked = [asyncio.ensure_future(check) for check in checks]
        assert not any(await asyncio.gather(*asked[32:]))
        may_end.set()
        assert not any(await asyncio.gather(*asked))
        assert len(count.asked) == 32
        assert await logins.check(header("bob", "secret"), USERS)

    run(work())
