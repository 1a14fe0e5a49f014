# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a store's files are read from: a folder, or a web server.

    source_of("https://modules.example.org/store")   -> WebSource
    source_of("file:///srv/store")                   -> FolderSource
    source.read("index.json", limit=4 << 20)         -> bytes

Nothing that a server says is believed here; its size and its time are limited.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from compiler.version import VERSION
from runtime.support import bounded_file
from runtime.support.record import record

SILENCE = 30.0  # seconds without a byte after which a server counts as gone
_SLOWEST = 16 << 10  # bytes a second, over a whole file
_PIECE = 1 << 16
# X509_V_ERR_*: the certificate is self-signed, or its authority is not known here
_NO_ISSUER = frozenset((18, 19, 20, 21))
_UNKNOWN_AUTHORITY = (
    "an authority of your own must be known to this host (update-ca-certificates), or be named by "
    "$SSL_CERT_FILE in stapwatch-sync.service"
)
# what OpenSSL calls the answer of a server that speaks plain HTTP
_NOT_TLS = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"))


class SourceError(Exception):
    """A file of a store cannot be read; the text says why. `missing`: the store has none of that name."""

    def __init__(self, text: str, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


class Source(Protocol):
    def read(self, name: str, limit: int) -> bytes:
        """A file of at most `limit` bytes. Raises SourceError."""


def source_of(url: str, *, plain_http: bool = False) -> Source:
    """`plain_http`: http:// is allowed, also as what https:// leads to. Raises SourceError."""
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            return FolderSource(Path(unquote(parts.path)))
        case "https":
            return WebSource(url.rstrip("/"), plain_http)
        case "http" if plain_http:
            return WebSource(url.rstrip("/"), plain_http)
    raise SourceError(f"{url} is no address of a store")


@record
class FolderSource:
    folder: Path

    def read(self, name: str, limit: int) -> bytes:
        path = self.folder / name
        try:
            return bounded_file.read(path, limit)
        except FileNotFoundError:
            raise SourceError(f"there is no {path}", missing=True) from None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error


class WebSource:
    """`base`: the address of the store's folder. $https_proxy and the like hold, and $SSL_CERT_FILE."""

    def __init__(self, base: str, plain_http: bool = False) -> None:
        self._base = base
        self._opener = urllib.request.build_opener(_Redirects(plain_http))
        self._opener.addheaders = [("User-Agent", f"stapwatch/{VERSION}")]

    def read(self, name: str, limit: int) -> bytes:
        url = f"{self._base}/{quote(name)}"
        try:
            with self._opener.open(url, timeout=SILENCE) as response:
                return _body(response, url, limit)
        except urllib.error.HTTPError as error:
            text = f"{url}: the server answers {error.code} {error.reason}"
            raise SourceError(text, missing=error.code in (404, 410)) from None
        except urllib.error.URLError as error:
            raise SourceError(f"{url}{_unreached(error.reason)}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SourceError(f"{url} cannot be read: {_why(error)}") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A redirect leads to https://, or to http:// where that is allowed."""

    def __init__(self, plain_http: bool) -> None:
        self._schemes = ("https", "http") if plain_http else ("https",)

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in self._schemes:
            raise SourceError(f"{req.full_url} leads to {newurl}, which is not https://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _body(response: Any, url: str, limit: int) -> bytes:
    """Raises SourceError for a body that is too large, too slow or cut short."""
    until = time.monotonic() + SILENCE + limit / _SLOWEST
    parts, size = [], 0
    while part := response.read1(_PIECE):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise SourceError(f"{url} has more than {limit:,} bytes")
        if time.monotonic() > until:
            raise SourceError(f"{url} comes too slowly: {size:,} bytes so far")
    if (wanted := response.headers.get("Content-Length", "")).isdecimal() and size < int(wanted):
        raise SourceError(f"{url} is cut short: {size:,} bytes of {int(wanted):,}")
    return b"".join(parts)


def _unreached(reason: object) -> str:
    """Why there is no connection. Only what has imported ssl raises its errors, so they are known by what
    they have."""
    if said := getattr(reason, "verify_message", ""):
        hint = f"; {_UNKNOWN_AUTHORITY}" if getattr(reason, "verify_code", 0) in _NO_ISSUER else ""
        return f": the server's certificate is refused: {str(said).rstrip('.')}{hint}"
    if getattr(reason, "reason", "") in _NOT_TLS:
        return " cannot be reached: the server speaks no TLS there"
    return f" cannot be reached: {_why(reason)}"


def _why(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).lower()
