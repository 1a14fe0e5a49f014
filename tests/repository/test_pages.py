# SPDX-License-Identifier: GPL-2.0-or-later
"""No test gets a page of metrics but through tests/agent/pages.py, which checks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.exposition.render import Format
from tests import PROJECT
from tests.agent import pages

# Who may open a connection by HTTP: what is fetched is no page of the agent, or its cost is measured in a guest.
FETCHERS = {
    "tests/agent/pages.py",
    "tests/agent/exposition/test_render_prometheus.py",  # the API of Prometheus
    "tests/bench/guest/starting.py",
    "tests/lab/test_lab.py",  # a server that the test starts in the guest
    "tests/manual/test_chapters.py",  # a word of the manual
    "tests/packaging/conftest.py",  # the package with that command, which the manual has its reader type
    "tests/system/prometheus.py",  # the API of Prometheus
}
# Who may render pages in its own process: tests/agent/conftest.py has them watched; the others measure.
RENDERERS = ("tests/agent/", "tests/bench/")
CLIENT = re.compile(r"\b(urlopen|http\.client|HTTPConnection|curl|wget|open_connection)\b")
RENDERER = re.compile(r"\b(Exposition|SelfMetrics|generate_latest)\(")
RAW = {  # the server alone, with pages of its own
    "tests/agent/web/test_http_server.py",
    "tests/agent/web/test_tls.py",
    "tests/agent/web/test_web_config.py",
    "tests/runtime/support/test_footprint.py",
}


def files() -> Iterator[tuple[str, str]]:
    for path in sorted((PROJECT / "tests").rglob("*.py")):
        if path != Path(__file__):
            yield str(path.relative_to(PROJECT)), path.read_text()


def constants(text: str) -> list[str]:
    return [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_pages_are_fetched_by_one_function() -> None:
    found = {name for name, text in files() if CLIENT.search(text)}
    assert found - RAW <= FETCHERS
    assert found >= FETCHERS | RAW, "a name that does not apply any more"


def test_pages_are_rendered_where_they_are_watched() -> None:
    found = {name for name, text in files() if RENDERER.search(text)}
    assert all(name.startswith(RENDERERS) for name in found), found


def test_guests_fetch_no_page() -> None:
    """Commands for a guest are texts."""
    for name, text in files():
        if name not in FETCHERS:
            found = [c for c in constants(text) if "/metrics" in c and c != "/metrics"]
            assert all(c.startswith('"""') or "GET " not in c for c in found), (name, found)


@pytest.mark.parametrize(
    ("form", "page"),
    [
        (Format.TEXT, b"x 1\nx 1\n"),
        (Format.TEXT, b'x{a="1",b="2"} 1\nx{b="2",a="1"} 1\n'),
        (Format.TEXT, b"# TYPE x gauge\nx 1\n# TYPE y gauge\ny 1\n# TYPE x gauge\nx 2\n"),
        (Format.OPENMETRICS, b"# TYPE x counter\nx 1\n# EOF\n"),
        (Format.OPENMETRICS, b"# TYPE x gauge\nx 1\n"),
    ],
)
def test_faults_are_found(form: Format, page: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        pages.check(page, form)
