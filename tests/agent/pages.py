# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of metrics as their readers see them: every page that a test makes goes through `check`.

    fetched("http://127.0.0.1:9436/metrics", Accept="...")  -> Page, checked
    with watching(): ...                                     pages that this process renders are checked,
                                                             by promtool all of them at the end

Both parsers of prometheus_client read the page, and Google's library what is in protobuf; its series are counted,
and Debian's promtool finds no fault in it, where it is installed. tests/repository/test_pages.py looks for pages that come by another way.
"""

from __future__ import annotations

import gzip
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from agent.daemon.self_metrics import SelfMetrics
from agent.exposition.families import Member
from agent.exposition.render import Exposition, Format
from runtime.reader.snapshot import TableValues
from tests.agent import protobuf

Series = tuple[str, tuple[tuple[str, str], ...]]
Read = Callable[[Member], TableValues | None]
EOF = b"# EOF\n"
_ADVICE = 3  # promtool's status if it only has advice on names
_NAME = re.compile(rb"^(# (?:HELP|TYPE) |)(?=[a-zA-Z_:])", re.M)


@dataclass(frozen=True)
class Page:
    """An answer of the agent's server. The headers' names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def fetched(
    url: str, timeout: float = 60.0, context: ssl.SSLContext | None = None, /, **headers: str
) -> Page:
    """Any page of an agent; if it is one of metrics, it has been checked. `_` in a header's name is `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            page = Page(answer.status, answer.read(), found)
    except urllib.error.HTTPError as error:
        with error:
            return Page(error.code, error.read(), {k.lower(): v for k, v in error.headers.items()})
    body = page.body
    if page.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    for form in Format:
        if page.headers.get("content-type") == form.value:
            check(body, form)
    return page


@contextmanager
def watching(advice: bool = True) -> Iterator[None]:
    """Check every page of scripts' metrics, and of the agent's own, that this process renders to its end.

    The parsers check it at once. A test can make hundreds of pages, and promtool takes long to start. Its advice
    on names is an error unless the test chose them.
    """
    seen: dict[bytes, None] = {}
    exposed, own = Exposition.render, SelfMetrics.render

    def exposition(self: Exposition, read: Read, form: Format) -> Iterator[bytes]:
        parts = []
        for part in exposed(self, read, form):
            parts.append(part)
            yield part
        note(b"".join(parts) + (EOF if form is Format.OPENMETRICS else b""), form)

    def self_metrics(self: SelfMetrics, form: Format) -> bytes:
        page = own(self, form)
        note(page, form)
        return page

    def note(page: bytes, form: Format) -> None:
        parsed(page, form)
        if form is Format.TEXT:
            seen[page] = None

    with (
        mock.patch.object(Exposition, "render", exposition),
        mock.patch.object(SelfMetrics, "render", self_metrics),
    ):
        yield
    check_by_promtool(list(seen), advice)


def check(text: bytes, form: Format) -> None:
    """Raises AssertionError, or a parser's ValueError, if a reader finds fault in the page."""
    parsed(text, form)
    if form is Format.TEXT:
        check_by_promtool([text])


def check_by_promtool(texts: Sequence[bytes], advice: bool = True) -> None:
    """All pages at once, with names that differ; after a complaint one by one, to tell the page."""
    program = shutil.which("promtool")
    if program is None or not texts:
        return
    pages = [_renamed(text, b"p%d_" % n) for n, text in enumerate(texts)] if texts[1:] else texts
    done = subprocess.run(
        [program, "check", "metrics"],
        input=b"".join(pages),
        capture_output=True,
        timeout=300,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    if (done.returncode == 0 and not said) or (done.returncode == _ADVICE and not advice):
        return
    assert texts[1:], f"promtool: {said}\n{texts[0].decode()}"
    half = len(texts) // 2
    check_by_promtool(texts[:half], advice)
    check_by_promtool(texts[half:], advice)
    raise AssertionError(f"promtool complains of pages together, not one by one: {said}")


def _renamed(text: bytes, prefix: bytes) -> bytes:
    """The page with another beginning of each family's name."""
    return _NAME.sub(rb"\1" + prefix, text)


def parsed(text: bytes, form: Format) -> dict[str, Metric]:
    """The families by name. No family and no series may be there twice.

    The parsers do not notice all duplicates, so lines are counted too.
    """
    if form is Format.PROTOBUF:
        found = protobuf.metrics(text)
        lines: list[Any] = [sample for metric in found for sample in metric.samples]
        return _checked(found, len(lines))
    lines = [line for line in text.decode().split("\n") if line and not line.startswith("#")]
    if form is Format.OPENMETRICS:
        found = list(openmetrics.text_string_to_metric_families(text.decode()))  # type: ignore[no-untyped-call]
    else:
        found = list(text_string_to_metric_families(text.decode()))
    return _checked(found, len(lines))


def _checked(found: list[Metric], lines: int) -> dict[str, Metric]:
    names = [metric.name for metric in found]
    assert len(names) == len(set(names)), f"a family is there twice: {sorted(names)}"
    counts = Counter(
        (sample.name, tuple(sorted(sample.labels.items())))
        for metric in found
        for sample in metric.samples
    )
    assert not [series for series, count in counts.items() if count > 1]
    assert len(counts) == lines, "two lines are one series"
    return {metric.name: metric for metric in found}


def samples(text: bytes, form: Format) -> dict[Series, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in parsed(text, form).values()
        for sample in metric.samples
    }
