# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may see what: the checks between the HTTP server and the pages.

    Endpoint(Access(web, answer).answer)
    in this order: limit of requests, the host's name, the user, the pages that show the configuration

The control socket is root's alone, and nothing is checked there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING

from agent.config.settings import Settings
from agent.config.web_settings import RateLimit
from agent.log_messages import Message
from agent.log_sinks import log
from agent.web import host_names
from agent.web.http_message import Answer, Request, Response
from agent.web.web_config import Web, WebConfig
from runtime.support.record import replace

if TYPE_CHECKING:
    from agent.web.basic_auth import Logins

_STATUS_PAGES = ("/", "/status")  # they show paths, errors and each script's text of an error
_MOST_TOLD = 20  # foreign host names that are logged
_NAMES_AGE = 60.0  # seconds after which this host's names are looked up again for an unknown one


class Access:
    def __init__(self, web: WebConfig, answer: Answer, clock: Callable[[], float] = monotonic):
        self._web = web
        self._answer = answer
        self._clock = clock
        self._settings = Settings()
        self._logins: Logins | None = None
        self._limiter: Limiter | None = None
        self._names: frozenset[str] = frozenset()
        self._names_read = -_NAMES_AGE
        self._looking_up = asyncio.Lock()
        self._told: set[str] = set()

    def configure(self, settings: Settings) -> None:
        self._settings = settings

    async def answer(self, request: Request) -> Response:
        if request.is_local:
            return await self._answer(request)
        web = await self._web.current()
        response = await self._refusal(request, web) or await self._answer(request)
        if not web.settings.headers:
            return response
        return replace(response, headers={**response.headers, **web.settings.headers})

    async def _refusal(self, request: Request, web: Web) -> Response | None:
        if not self._takes_another(web.settings.rate_limit):
            return Response(HTTPStatus.TOO_MANY_REQUESTS, b"too many requests\n")
        users = web.settings.users
        # A browser has no certificate for a page's name here, and sends that page's password, not ours.
        if not users and not request.origin.tls and not await self._knows(request):
            text = "this host is not called so; add the name to allowed_hosts\n"
            return Response(HTTPStatus.MISDIRECTED_REQUEST, text.encode())
        if users and not await self._is_user(request, users):
            challenge = {"WWW-Authenticate": 'Basic realm="stapwatch", charset="UTF-8"'}
            return Response(
                HTTPStatus.UNAUTHORIZED, b"a user and a password are needed\n", headers=challenge
            )
        if request.path in _STATUS_PAGES and not self._shows_status(request, bool(users)):
            text = (
                "the status is for this host alone: ask `stapwatch status` or a loopback address there, "
                "have users in the web configuration file, or set public_status: true\n"
            )
            return Response(HTTPStatus.FORBIDDEN, text.encode())
        return None

    async def _is_user(self, request: Request, users: Mapping[str, str]) -> bool:
        if self._logins is None:
            from agent.web.basic_auth import Logins

            self._logins = Logins()
        return await self._logins.check(request.headers.get("authorization", ""), users)

    def _shows_status(self, request: Request, has_user: bool) -> bool:
        origin = request.origin
        return has_user or origin.near or origin.verified or self._settings.public_status

    def _takes_another(self, limit: RateLimit | None) -> bool:
        if limit is None:
            self._limiter = None
            return True
        if self._limiter is None or self._limiter.limit != limit:
            self._limiter = Limiter(limit, self._clock)
        return self._limiter.take()

    async def _knows(self, request: Request) -> bool:
        """Whether the Host header names this host. Without one there is no browser."""
        header = request.headers.get("host")
        if header is None:
            return True
        host, allowed = host_names.host_of(header), self._settings.allowed_hosts
        if host_names.is_allowed(host, self._names, allowed):
            return True
        await self._look_names_up()
        if host_names.is_allowed(host, self._names, allowed):
            return True
        if host not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(host)
            log().warning(
                f"a request for the host {host!r} was refused: this host is not called so; "
                "if it is, add the name to allowed_hosts",
                message_id=Message.HOST_REFUSED,
            )
        return False

    async def _look_names_up(self) -> None:
        """Not more often than once in a while: strangers choose the names that are not known."""
        async with self._looking_up:
            if self._clock() - self._names_read >= _NAMES_AGE:
                self._names = await asyncio.to_thread(host_names.own_names)
                self._names_read = self._clock()


class Limiter:
    """A token bucket."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._at = clock()

    def take(self) -> bool:
        now = self._clock()
        gained = (now - self._at) / self.limit.interval
        self._tokens = min(float(self.limit.burst), self._tokens + gained)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
