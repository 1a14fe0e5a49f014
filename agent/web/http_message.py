# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/1.1 requests and responses as values, and their bytes.

parse(b"GET /metrics?x=1 HTTP/1.1\\r\\n...") -> Request("GET", "/metrics", "x=1", {...}), keeps the connection
head(Response(200, b"..."), keep=True)      -> b"HTTP/1.1 200 OK\\r\\nDate: ..."
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from runtime.support.lazy_regex import pattern
from runtime.support.record import field, record

TEXT = "text/plain; charset=utf-8"
_PIECE = 1 << 17  # bytes that are enough for one write; a piece is at most twice as long
_TOKEN = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = pattern(r"[\x00-\x08\x0a-\x1f\x7f]")


@record
class Origin:
    """How a request came. `control`: over the control socket; `near`: over a loopback address or another Unix
    socket; `verified`: with a client certificate that was checked."""

    control: bool = False
    near: bool = False
    tls: bool = False
    verified: bool = False
    peer: str = ""  # the host of a TCP peer


FAR = Origin()


@record
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    origin: Origin = FAR

    @property
    def is_local(self) -> bool:
        """Whether it came over the control socket."""
        return self.origin.control

    @property
    def peer(self) -> str:
        """The host that it came from; "" if it was not TCP."""
        return self.origin.peer


@record
class Response:
    status: int
    body: bytes | Sequence[bytes]  # whole or in parts
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> Sequence[bytes]:
        return (self.body,) if isinstance(self.body, bytes) else self.body


Answer = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """A request that is answered without being looked at any further."""

    def __init__(self, status: HTTPStatus, why: str, **headers: str) -> None:
        super().__init__(why)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = Response(status, f"{why}\n".encode(), TEXT, named)


def parse(data: bytes, origin: Origin = FAR) -> tuple[Request, bool]:
    """The request of a header, and whether the connection stays open. Raises Refused."""
    line, *lines = data[:-4].decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP request")
    method, target, version = words
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and 1.0 are spoken")
    headers = _headers(lines)
    if method not in ("GET", "HEAD") and not (origin.control and method == "POST"):
        raise Refused(
            HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are served", Allow="GET, HEAD"
        )
    # This server reads no bodies, so a body would be parsed as the next request.
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise Refused(HTTPStatus.BAD_REQUEST, "a request with a body is not served")
    host, path, query = _target(target)
    if host:
        headers["host"] = host  # it counts more than the header
    wanted = headers.get("connection", "").lower()
    keep = "close" not in wanted and (version == "HTTP/1.1" or "keep-alive" in wanted)
    return Request(method, path, query, headers, origin), keep


def _headers(lines: Iterable[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise Refused(HTTPStatus.BAD_REQUEST, "a header line is malformed")
        key = name.lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    return headers


def _target(target: str) -> tuple[str, str, str]:
    """The host (if the target has one), path and query. `//metrics` is a path, and not a host."""
    host, rest = "", target
    if not target.startswith("/"):
        try:
            url = urlsplit(target)
        except ValueError:
            url = None
        if url is None or url.scheme not in ("http", "https") or not url.netloc:
            raise Refused(HTTPStatus.BAD_REQUEST, "the request's target is malformed")
        host, rest = url.netloc.rpartition("@")[2], f"{url.path or '/'}?{url.query}"
    path, _, query = rest.partition("?")
    return host, unquote(path, "latin-1"), query


def head(response: Response, *, keep: bool) -> bytes:
    """The response's header."""
    own = {
        "Date": formatdate(usegmt=True),
        "Content-Type": response.content_type,
        "X-Content-Type-Options": "nosniff",
        "Connection": "keep-alive" if keep else "close",
    }
    if response.status != HTTPStatus.NOT_MODIFIED:  # there it would be that of the page
        own["Content-Length"] = str(sum(map(len, response.parts)))
    lines = [
        f"HTTP/1.1 {int(response.status)} {HTTPStatus(response.status).phrase}",
        *(f"{name}: {value}" for name, value in (own | dict(response.headers)).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, written with few calls of the system.

    A whole body in one piece would be copied into memory that is mapped for it and given back, which takes
    longer than the copying; and asyncio copies what the peer does not read at once.
    """
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        for at in range(0, len(part), _PIECE):
            waiting.append(part[at : at + _PIECE])
            size += len(waiting[-1])
            if size >= _PIECE:
                yield b"".join(waiting)
                waiting.clear()
                size = 0
    if waiting:
        yield b"".join(waiting)
