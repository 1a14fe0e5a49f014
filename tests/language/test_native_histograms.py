# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics that keep the buckets of native histograms: what handlers print of them stays as it is."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any

from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import EXPONENTIAL_FORMAT, Histogram, HistogramKind, Manifest
from tests.language.userspace import HostedRuntime, Outcome, Script, translate

VALUES = [0, 1, 2, 3, 4, 5, 1000, 1024, 1025, 1 << 40, (1 << 63) - 1, -1, -4, -5, -(1 << 62)]
FILL = "".join(f"x <<< {value}; " for value in VALUES)
PRINTS = {
    "nothing": "",
    "hist_log": "print(@hist_log(x))",
    "hist_linear": "print(@hist_linear(x, 0, 100, 10))",
}


def native(schema: int) -> dict[str, dict[str, Any]]:
    return {"x": {"kind": "exponential", "schema": schema, "scale": "1E-3"}}


def counts(outcome: Outcome) -> tuple[Histogram, list[int]]:
    assert outcome.snapshot is not None, outcome.diagnostics + outcome.fault
    (table,) = outcome.snapshot.tables
    statistic = table.table.statistic
    assert statistic is not None and statistic.exported is not None
    hist = statistic.exported
    words = memoryview(table.rows).cast("q").tolist()
    return hist, words[hist.word : hist.word + hist.buckets]


def test_values_are_in_their_buckets() -> None:
    cases = [(text, schema) for text in PRINTS.values() for schema in (None, 0, 3)]
    scripts = [
        Script(
            f"s{n}",
            f"global x; probe begin {{ {FILL} {prints} }}",
            statistics={} if schema is None else native(schema),
        )
        for n, (prints, schema) in enumerate(cases)
    ]
    with HostedRuntime.open() as hosted:
        outcomes = hosted.run(scripts)
    for (_, schema), outcome in zip(cases, outcomes, strict=True):
        assert not outcome.errors
        if schema is None:
            plain = outcome.output
            continue
        hist, found = counts(outcome)
        assert (hist.kind, hist.schema) == (HistogramKind.EXPONENTIAL, schema)
        bounds = upper_bounds(hist)
        assert {n: c for n, c in enumerate(found) if c} == Counter(
            bisect_left(bounds, value) for value in VALUES
        )
        assert outcome.output == plain


def test_only_modules_that_older_agents_would_misread_refuse_them() -> None:
    def needs(prints: str, **options: Any) -> int | None:
        text = f"global x; probe begin {{ {FILL} {PRINTS[prints]} }}"
        made = translate(Script("x", text, **options)).manifest
        assert Manifest.from_json(made.to_json()) == made
        return made.needs

    assert needs("nothing", statistics=native(0)) == EXPONENTIAL_FORMAT
    assert needs("hist_log", statistics=native(0)) is None  # they serve what handlers see
    assert needs("nothing") is None
