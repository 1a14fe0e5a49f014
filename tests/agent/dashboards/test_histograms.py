# SPDX-License-Identifier: GPL-2.0-or-later
"""Both forms of histograms. What the classic one gives, Prometheus says in test_dashboard_in_prometheus.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent.config.settings import Histograms
from agent.dashboards import histograms
from agent.dashboards.family_series import FamilySeries
from agent.dashboards.histograms import Form, form_of
from agent.exposition.families import plan
from runtime.support.record import replace
from tests.agent import values
from tests.agent.dashboards.promtool import check_rules

[FAMILY], _ = plan([("s", values.manifest(values.statistic("wait_ns", "device")), {})], set())
SERIES = FamilySeries(FAMILY, "s", "")


def expressions(form: Form) -> dict[str, str]:
    return {
        "quantile": histograms.quantile("0.99", form, SERIES, ["device"], "5m"),
        "events": histograms.events(form, SERIES, ["device"], "5m"),
        "mean": histograms.mean(form, SERIES, ["device"], "5m"),
        "heat": histograms.heat(form, SERIES).replace("$__rate_interval", "5m"),
    }


def test_classic_ones() -> None:
    """The last bucket is on every page; a count is not."""
    assert form_of(FAMILY) is Form.CLASSIC
    name = "stapwatch_s_wait_seconds"
    assert expressions(Form.CLASSIC) == {
        "quantile": f"histogram_quantile(0.99, sum by (le, device) (rate({name}_bucket[5m])))",
        "events": f'sum by (device) (rate({name}_bucket{{le="+Inf"}}[5m]))',
        "mean": f"sum by (device) (rate({name}_sum[5m])) / "
        f'sum by (device) (rate({name}_bucket{{le="+Inf"}}[5m]))',
        "heat": f"sum by (le) (increase({name}_bucket[5m]))",
    }


@pytest.mark.parametrize("histograms", list(Histograms))
def test_the_form_is_that_of_the_metric(histograms: Histograms) -> None:
    native = histograms is Histograms.NATIVE
    family = replace(FAMILY, histograms=histograms)
    assert form_of(family) is (Form.NATIVE if native else Form.CLASSIC)


def test_native_ones() -> None:
    whole = "sum by (device) (rate(stapwatch_s_wait_seconds[5m]))"
    assert expressions(Form.NATIVE) == {
        "quantile": f"histogram_quantile(0.99, {whole})",
        "events": f"histogram_count({whole})",
        "mean": f"histogram_sum({whole}) / histogram_count({whole})",
        "heat": "sum(increase(stapwatch_s_wait_seconds[5m]))",
    }


@pytest.mark.host
@pytest.mark.parametrize("form", list(Form))
def test_prometheus_takes_them(form: Form, tmp_path: Path) -> None:
    rules = [{"record": f"x:{name}", "expr": expr} for name, expr in expressions(form).items()]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": rules}]}))
    check_rules(file)
