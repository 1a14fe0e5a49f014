# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of the status page: agent/web/page, and the library that draws its lines, if it is installed.

answer("/", headers)                  -> 200, page.html
answer("/page/page.css", headers)     -> 200, or 304 if the browser has it

A browser runs only scripts and styles of these files, and shows the page in no frame. The files say nothing
about this host: what they show comes from `/status`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from agent.web.http_message import Response

_FOLDER = Path(__file__).parent / "page"
# Debian's libjs-dygraphs; without it the page has no line charts
_LIBRARY = Path("/usr/share/javascript/dygraphs")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PREFIX = "/page/"


def answer(path: str, headers: Mapping[str, str]) -> Response:
    """404 for what is no file of the page."""
    file = files().get(path)
    if file is None:
        return Response(404, b"not found; see /\n")
    try:
        data = file.read_bytes()
    except OSError:
        return Response(404, b"the file is gone\n")
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    extra = {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # ask again: an upgrade changes the files
        "ETag": tag,
    }
    if headers.get("if-none-match") == tag:
        return Response(304, b"", _TYPES[file.suffix], extra)
    return Response(200, data, _TYPES[file.suffix], extra)


@lru_cache(maxsize=1)
def files() -> dict[str, Path]:
    """The files by their paths in a request. Only these can be asked for."""
    own = {f"{_PREFIX}{file.name}": file for file in _FOLDER.iterdir() if file.suffix in _TYPES}
    library = {
        f"{_PREFIX}library/{name}": _LIBRARY / name
        for name in ("dygraph.min.js", "dygraph.min.css")
    }
    return {"/": _FOLDER / "page.html", **own, **library}
