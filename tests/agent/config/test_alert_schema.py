# SPDX-License-Identifier: GPL-2.0-or-later
"""Alerts that are declared beside a metric. cases/alerts.yaml has the wrong ones, with their messages."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.config import alert_schema, load
from agent.config.settings import MetricAlert, MetricType, Severity


def declared(text: str) -> tuple[MetricAlert, ...]:
    settings = load.loads(
        f"script_folders: []\nscripts: {{s: {{text: x, metrics: {{m: {{{text}}}}}}}}}"
    )
    return settings.scripts["s"].metrics["m"].alerts


def test_one_alert_or_several() -> None:
    assert declared("type: gauge") == ()
    assert declared("alert: {above: 0.5}") == (MetricAlert(above=Decimal("0.5")),)
    whole = (
        "alert: [{above: 2, of: p99.9, for: 90s, severity: critical, summary: slow, name: Slow, "
        "runbook: 'https://x'}, {below: 1, for: 0}]"
    )
    assert declared(whole) == (
        MetricAlert(
            *(Decimal(2), None, "p99.9", 90.0, Severity.CRITICAL, "slow", "Slow", "https://x")
        ),
        MetricAlert(below=Decimal(1), wait=0.0),
    )


@pytest.mark.parametrize(
    ("of", "q"), [("p99", 0.99), ("p99.9", 0.999), ("p5", 0.05), ("rate", None), ("", None)]
)
def test_quantiles(of: str, q: float | None) -> None:
    assert alert_schema.quantile(of) == pytest.approx(q)


@pytest.mark.parametrize(
    ("kind", "of", "subject"),
    [
        (MetricType.COUNTER, "", "rate"),
        (MetricType.GAUGE, "", "value"),
        (MetricType.SUMMARY, "", "mean"),
        (MetricType.SUMMARY, "rate", "rate"),
        (MetricType.HISTOGRAM, "p50", "p50"),
        (MetricType.HISTOGRAM, "rate", "rate"),
        (MetricType.HISTOGRAM, "", None),
        (MetricType.COUNTER, "value", None),
        (MetricType.GAUGE, "rate", None),
        (MetricType.SUMMARY, "p99", None),
        (MetricType.INFO, "", None),
    ],
)
def test_what_an_alert_is_of_depends_on_the_type(
    kind: MetricType, of: str, subject: str | None
) -> None:
    if subject is not None:
        assert alert_schema.subject(of, kind) == subject
        return
    with pytest.raises(ValueError, match=f"(an alert for|no alerts for) an? {kind}"):
        alert_schema.subject(of, kind)
