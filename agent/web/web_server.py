# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP server with its settings: addresses, TLS, users and access, which are put in force together.

server = WebServer(answer, InheritedSockets.taken())
web = await web_config.prepare(settings)       # ConfigError: nothing has changed
await server.put_in_force(settings, web)       # ListenError: nothing has changed
"""

from __future__ import annotations

from agent.config.settings import Address, Settings
from agent.web.access import Access
from agent.web.http_message import Answer
from agent.web.http_server import Endpoint
from agent.web.inherited_sockets import InheritedSockets
from agent.web.web_config import Web, WebConfig
from runtime.support.record import replace

# An address that was opened with another one's TLS or access would show more than was asked for.
_TOGETHER = ("listen", "web", "public_status", "allowed_hosts")


class WebServer:
    def __init__(self, answer: Answer, inherited: InheritedSockets | None = None) -> None:
        self._web = WebConfig()
        self._access = Access(self._web, answer)
        self.endpoint = Endpoint(self._access.answer, tls=self._web.tls, inherited=inherited)

    async def put_in_force(self, settings: Settings, web: Web, accept: bool = True) -> None:
        """All of the settings, or none after a ListenError. Without `accept`, connections wait."""
        await self.endpoint.listen(settings.listen, accept)
        self._web.use(web)
        self._access.configure(settings)


def with_older(settings: Settings, before: Settings) -> Settings:
    """The settings with what the server had before."""
    return replace(settings, **{key: getattr(before, key) for key in _TOGETHER})


def differs(settings: Settings, before: Settings) -> bool:
    """Whether more than the addresses has changed."""
    return any(getattr(settings, key) != getattr(before, key) for key in _TOGETHER[1:])


def urls(endpoint: Endpoint, settings: Settings) -> str:
    """Where the pages are, for people."""
    scheme = "http" if settings.web.tls is None else "https"
    return ", ".join(
        f"{scheme}://{address}/metrics" if isinstance(address, Address) else str(address)
        for address in endpoint.bound
    )
