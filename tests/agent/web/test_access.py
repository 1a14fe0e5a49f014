# SPDX-License-Identifier: GPL-2.0-or-later
"""Who gets what: the host's name, users, the pages of status, the limit of requests, headers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import Settings
from agent.config.web_settings import RateLimit, WebSettings
from agent.web import host_names
from agent.web.access import Access, Limiter
from agent.web.http_message import Origin, Request, Response
from agent.web.web_config import Web, WebConfig
from tests.agent.conftest import Lines, run
from tests.agent.web.test_basic_auth import USERS, header

NEAR, FAR, CONTROL = Origin(near=True), Origin(), Origin(control=True, near=True)
KNOWN = Origin(tls=True, verified=True)


async def page(request: Request) -> Response:
    return Response(200, b"page", headers={"Vary": "Accept"})


def access(settings: Settings = Settings(), **web: Any) -> Access:  # noqa: B008
    config = WebConfig()
    config.use(Web(WebSettings(**web)))
    made = Access(config, page)
    made.configure(settings)
    return made


def status(made: Access, path: str, origin: Origin, **headers: str) -> int:
    named = {name.lower(): value for name, value in headers.items()}
    return run(made.answer(Request("GET", path, "", named, origin))).status


@pytest.mark.parametrize("path", ["/", "/status"])
def test_the_status_is_for_this_host_and_for_users(path: str) -> None:
    made = access()
    assert (
        status(made, path, NEAR) == status(made, path, CONTROL) == status(made, path, KNOWN) == 200
    )
    assert status(made, path, FAR) == 403
    assert status(made, path, Origin(tls=True)) == 403
    assert status(made, "/metrics", FAR) == status(made, "/-/ready", FAR) == 200
    assert status(access(Settings(public_status=True)), path, FAR) == 200
    made = access(users=USERS)
    assert status(made, path, FAR, Authorization=header("bob", "secret")) == 200
    assert status(made, path, FAR) == 401


def test_users() -> None:
    made = access(users=USERS)
    for origin in (NEAR, FAR, KNOWN):
        assert status(made, "/metrics", origin) == 401
        assert status(made, "/metrics", origin, Authorization=header("bob", "no")) == 401
        assert status(made, "/metrics", origin, Authorization=header("bob", "secret")) == 200
    assert status(made, "/metrics", CONTROL) == 200, "the control socket is root's"
    response = run(made.answer(Request("GET", "/metrics", "", {}, FAR)))
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:9436", True), ("LocalHost.", True), ("127.0.0.1:9436", True), ("10.1.2.3", True),
        ("[::1]:9436", True), ("[fe80::1%25eth0]", True), ("node7", True), ("node7.prod.example:80", True),
        ("metrics.example", True), ("a.b.wild.example:1", True),
        ("evil.example", False), ("wild.example", False), ("node7.evil.example", False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("", False),
        ("localhost,evil.example", False), ("evil.example:80,localhost", False), ("1.2.3", False),
    ],
)  # fmt: skip
def test_names_of_this_host(
    host: str, allowed: bool, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    names = frozenset({"node7", "node7.prod.example"})
    monkeypatch.setattr(host_names, "own_names", lambda: names)
    settings = Settings(allowed_hosts=("metrics.example", "*.wild.example"))
    made = access(settings)
    for _ in range(2):
        assert status(made, "/metrics", NEAR, Host=host) == (200 if allowed else 421)
    assert len(lines.texts) == (0 if allowed else 1), "told once"
    # no browser can be brought to these by a page of another name
    assert status(made, "/metrics", KNOWN, Host=host) == 200
    assert status(made, "/metrics", CONTROL, Host=host) == 200
    assert status(made, "/metrics", NEAR) == 200
    login = header("bob", "secret")
    assert status(access(users=USERS), "/metrics", FAR, Host=host, Authorization=login) == 200


def test_names_are_looked_up_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def own_names() -> frozenset[str]:
        asked.append(1)
        return frozenset({"node7"})

    monkeypatch.setattr(host_names, "own_names", own_names)

    async def work() -> None:
        made = access()
        request = Request("GET", "/metrics", "", {"host": "node7"}, FAR)
        stranger = Request("GET", "/metrics", "", {"host": "evil.example"}, FAR)
        requests = [request, request, stranger, request, stranger]
        found = await asyncio.gather(*(made.answer(one) for one in requests))
        assert [one.status for one in found] == [200, 200, 421, 200, 421]
        assert len(asked) == 1

    run(work())


def test_own_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("# search no\nsearch prod.example. other.example\ndomain third.example\n")
    monkeypatch.setattr(host_names, "_RESOLVER", resolver)
    monkeypatch.setattr("socket.gethostname", lambda: "Node7.dc")
    monkeypatch.setattr("socket.getfqdn", lambda: "node7.dc.example.")
    names = (
        "node7 node7.dc node7.dc.example node7.prod.example node7.other.example node7.third.example"
    )
    assert host_names.own_names() == set(names.split())
    resolver.unlink()
    assert "node7" in host_names.own_names()


def test_a_limit_of_requests() -> None:
    now = [0.0]
    limiter = Limiter(RateLimit(0.5, 3), lambda: now[0])
    assert [limiter.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.49
    assert not limiter.take()
    now[0] = 0.5
    assert limiter.take() and not limiter.take()
    now[0] = 100
    assert [limiter.take() for _ in range(4)] == [True, True, True, False]
    made = access(rate_limit=RateLimit(1000, 1))
    assert [status(made, "/metrics", FAR) for _ in range(2)] == [200, 429]
    assert status(made, "/metrics", CONTROL) == 200


def test_headers_are_added_to_every_response() -> None:
    made = access(users=USERS, headers={"X-Frame-Options": "deny"})
    for login in ("secret", "no"):
        named = {"authorization": header("bob", login)}
        response = run(made.answer(Request("GET", "/metrics", "", named, FAR)))
        assert response.headers["X-Frame-Options"] == "deny"
        assert "Vary" in response.headers or response.status == 401
