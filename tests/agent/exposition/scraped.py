# SPDX-License-Identifier: GPL-2.0-or-later
"""A page of a module's tables for a real Prometheus: a script counts a known load, again and again.

Scraped().port, .count([1500]), .restart()
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from agent.config.settings import Histograms, MetricSettings
from agent.config.yaml_tree import Position
from agent.exposition.families import plan
from agent.exposition.render import Exposition, Format, negotiate
from compiler.ir.options import histogram_of
from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import Histogram, Table
from runtime.reader.snapshot import StatValue
from runtime.support.record import replace
from tests.agent import values

AGE = 3600  # seconds since the module was started
NATIVE = {"coarse_ns": 0, "fine_ns": 3, "signed_ns": 2}


class Scraped:
    """The tables of an adopted module, and the agent's pages of it."""

    def __init__(self) -> None:
        self._tables = {name: _exponential(name, schema) for name, schema in NATIVE.items()}
        self._tables["classic_ns"] = values.statistic("classic_ns")
        self._tables["hits"] = values.number("hits")
        self._seen: dict[str, list[int]] = {name: [] for name in self._tables}
        self.started_ns = time.time_ns() - AGE * 10**9
        self.restart()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self.served = 0
        Thread(target=self._server.serve_forever, daemon=True).start()

    def restart(self) -> None:
        """An agent that begins anew, with a module that goes on."""
        where = Position("x", 1, 1)
        metrics = {
            name: MetricSettings(name, where, histograms=Histograms.NATIVE) for name in NATIVE
        }
        families, problems = plan(
            [("app", values.manifest(*self._tables.values()), metrics)], set()
        )
        assert not problems
        self._exposition = Exposition(families, created=True)

    def count(self, numbers: Sequence[int]) -> None:
        """In ns; the histogram `signed` gets them with both signs."""
        for name, seen in self._seen.items():
            seen += numbers
            if name == "signed_ns":
                seen += [-number for number in numbers]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, form: Format) -> bytes:
        found = {}
        for name, table in self._tables.items():
            seen = self._seen[name]
            row: int | StatValue = len(seen)
            if table.statistic is not None:
                row = counted(table, seen)
            found[name] = replace(values.rows(table, {(): row}), started_ns=self.started_ns)
        end = b"# EOF\n" if form is Format.OPENMETRICS else b""
        return b"".join(self._exposition.render(lambda m: found[m.table.name], form)) + end

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scraped = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                form = negotiate(self.headers.get("Accept", ""))
                page = scraped.page(form)
                self.send_response(200)
                self.send_header("Content-Type", form.value)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)
                scraped.served += 1

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _exponential(name: str, schema: int) -> Table:
    hist = histogram_of({"kind": "exponential", "schema": schema, "scale": "1E-9"})
    table = values.statistic(name, histogram=replace(hist, word=1))
    return replace(table, row_size=8 * (1 + hist.buckets))


@cache
def _bounds(histogram: Histogram) -> tuple[int, ...]:
    return upper_bounds(histogram)


def counted(table: Table, seen: Sequence[int]) -> StatValue:
    """What a module has counted."""
    assert table.statistic is not None and table.statistic.exported is not None
    bounds = _bounds(table.statistic.exported)
    counts = [0] * (len(bounds) + 1)
    for value in seen:
        counts[bisect_left(bounds, value)] += 1
    return StatValue(None, sum(seen), buckets=tuple(counts))
