# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of metrics as their readers see them: every page that a test makes goes through here."""

from __future__ import annotations

from collections import Counter

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from agent.exposition.render import Format

Series = tuple[str, tuple[tuple[str, str], ...]]


def parsed(text: bytes, form: Format) -> dict[str, Metric]:
    """The families by name. No family and no series may be there twice.

    The parsers are those of prometheus_client. They do not notice all duplicates, so lines are counted too.
    """
    lines = [line for line in text.decode().split("\n") if line and not line.startswith("#")]
    if form is Format.OPENMETRICS:
        found = list(openmetrics.text_string_to_metric_families(text.decode()))  # type: ignore[no-untyped-call]
    else:
        found = list(text_string_to_metric_families(text.decode()))
    names = [metric.name for metric in found]
    assert len(names) == len(set(names)), f"a family is there twice: {sorted(names)}"
    counts = Counter(
        (sample.name, tuple(sorted(sample.labels.items())))
        for metric in found
        for sample in metric.samples
    )
    assert not [series for series, count in counts.items() if count > 1]
    assert len(counts) == len(lines), "two lines are one series"
    return {metric.name: metric for metric in found}


def samples(text: bytes, form: Format) -> dict[Series, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in parsed(text, form).values()
        for sample in metric.samples
    }
