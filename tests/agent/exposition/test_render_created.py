# SPDX-License-Identifier: GPL-2.0-or-later
"""The start times of series as samples of OpenMetrics. Those in protobuf: test_wire_families.py."""

from __future__ import annotations

import pytest

from agent.exposition.families import plan
from agent.exposition.render import Exposition, Format
from runtime.reader.snapshot import StatValue, TableValues
from runtime.support.record import replace
from tests.agent import values
from tests.agent.exposition.test_render import page, settings
from tests.agent.pages import samples
from tests.agent.values import rows


def test_created_samples() -> None:
    """In OpenMetrics only, where they are asked for: the start of the module that has counted, as nanoseconds."""
    tables = [
        values.number("n", "who"),
        values.number("g", "who", monotonic=False),
        values.statistic("hist", "who"),
        values.statistic("sizes", "who", histogram=None),
        values.number("old", "who"),
    ]
    start = 1_700_000_000_000_000_001

    def found(started: int) -> dict[str, TableValues]:
        stat = StatValue(3, 22, buckets=tuple(3 if n == 4 else 0 for n in range(65)))
        return {
            t.name: replace(rows(t, {("a%s",): stat if t.statistic else 3}), started_ns=started)
            for t in tables
        }

    families, problems = plan(
        [("app", values.manifest(*tables), settings("old", keep=True))], set()
    )
    assert not problems
    plain, created = Exposition(families), Exposition(families, created=True)
    for form in Format:
        same = page(plain, found(start), form)
        assert b"_created" not in same
        if form is not Format.OPENMETRICS:
            assert page(created, found(start), form) == same
    text = page(created, found(start), Format.OPENMETRICS)
    seconds = f"{start // 10**9}.{start % 10**9:09}"
    wanted = {f'stapwatch_app_{n}_created{{who="a%s"}} {seconds}' for n in ("n", "hist", "sizes")}
    lines = text.decode().splitlines()
    assert {line for line in lines if "_created" in line} == wanted
    without = "".join(f"{line}\n" for line in lines if "_created" not in line).encode()
    assert without == page(plain, found(start), Format.OPENMETRICS)
    got = samples(text, Format.OPENMETRICS)
    assert got["stapwatch_app_n_created", (("who", "a%s"),)] == pytest.approx(start / 1e9)

    def number(exposition: Exposition) -> int:
        read = found(start)
        return sum(one * n for _, n, one in exposition.elements(lambda m: read[m.table.name]))

    assert number(created) == len([line for line in lines if line[0] != "#"])
    assert number(created) == number(plain) + len(wanted)
    # a new module of the same script; and one whose start is not known
    assert seconds not in page(created, found(start + 10**9), Format.OPENMETRICS).decode()
    assert b"_created" not in page(created, found(0), Format.OPENMETRICS)


def test_created_samples_of_sums_that_may_fall() -> None:
    """OpenMetrics has no sum then, and the other samples stay."""
    table = values.statistic("x", histogram=None)
    families, _ = plan([("app", values.manifest(table), {})], set())
    negative = replace(rows(table, {(): StatValue(2, -5)}), started_ns=10**9)
    text = page(Exposition(families, created=True), {"x": negative}, Format.OPENMETRICS)
    assert samples(text, Format.OPENMETRICS) == {
        ("stapwatch_app_x_count", ()): 2,
        ("stapwatch_app_x_created", ()): 1,
    }


def test_an_exposition_with_created_samples_keeps_no_pages_without() -> None:
    table = values.number("n")
    families, _ = plan([("app", values.manifest(table), {})], set())
    known = {"n": replace(rows(table, {(): 1}), started_ns=10**9)}
    before = Exposition(families)
    assert b"_created" not in page(before, known, Format.OPENMETRICS)
    after = Exposition(families, before, created=True)
    assert b"_created 1.000000000" in page(after, known, Format.OPENMETRICS)
    assert b"_created" not in page(Exposition(families, after), known, Format.OPENMETRICS)
