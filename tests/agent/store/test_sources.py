# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server may not do to who asks it. (tests/agent/prebuilt/test_syncing.py asks a real one.)"""

from __future__ import annotations

import io
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from agent.store import sources
from agent.store.sources import FolderSource, SourceError, WebSource, source_of


def test_which_source() -> None:
    assert source_of("file:///srv/a%20store") == FolderSource(Path("/srv/a store"))
    assert isinstance(source_of("https://example.org/store/"), WebSource)
    assert isinstance(source_of("http://example.org/store", plain_http=True), WebSource)
    for url in ("http://example.org/store", "ftp://example.org/store", "docker://example.org/x"):
        with pytest.raises(SourceError, match="is no address of a store"):
            source_of(url)


def test_https_does_not_lead_to_http() -> None:
    asked = urllib.request.Request("https://example.org/store/index.json")
    for plain_http, goes in ((False, False), (True, True)):
        handler = sources._Redirects(plain_http)
        lead = (asked, io.BytesIO(), 302, "Found", Message(), "http://example.org/index.json")
        if goes:
            assert handler.redirect_request(*lead) is not None  # type: ignore[arg-type]
            continue
        with pytest.raises(SourceError, match=r"leads to http:.* which is not https://"):
            handler.redirect_request(*lead)  # type: ignore[arg-type]


class Body:
    """Sends a byte at a time, and says nothing of its size."""

    def __init__(self, size: int) -> None:
        self.headers: dict[str, str] = {}
        self._left = size

    def read1(self, _: int) -> bytes:
        self._left -= 1
        return b"x" if self._left >= 0 else b""


def test_too_much_and_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    body: Any = Body(100)
    assert sources._body(body, "url", 100) == b"x" * 100
    with pytest.raises(SourceError, match="url has more than 99 bytes"):
        sources._body(Body(100), "url", 99)
    ticks = iter(range(0, 10_000, 10))  # ten seconds for a byte
    monkeypatch.setattr("agent.store.sources.time.monotonic", lambda: float(next(ticks)))
    with pytest.raises(SourceError, match=r"url comes too slowly: [0-9]+ bytes so far"):
        sources._body(Body(100), "url", 100)
