# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions of histograms, in the form in which Prometheus stores them.

quantile("0.99", classic family x, Form.CLASSIC)
-> histogram_quantile(0.99, sum by (le) (rate(x_bucket{...}[$__rate_interval])))
native: histogram_quantile(0.99, sum(rate(x{...}[$__rate_interval])))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.config.settings import Histograms
from agent.dashboards.promql import WINDOW, increase, over
from agent.exposition.families import Family
from runtime.support.str_enum import StrEnum

# From the name of a sample, and further matchers, to an expression for the series that are meant.
Series = Callable[..., str]


class Form(StrEnum):
    CLASSIC = "classic"
    NATIVE = "native"


def form_of(family: Family) -> Form:
    """The form in which this family is stored. Of `both`, all servers can have the classic one."""
    return Form.NATIVE if family.histograms is Histograms.NATIVE else Form.CLASSIC


def quantile(
    q: str, form: Form, series: Series, labels: Sequence[str] = (), window: str = WINDOW
) -> str:
    if form is Form.NATIVE:
        return f"histogram_quantile({q}, {over('sum', series('', window=window), labels)})"
    rates = over("sum", series("_bucket", window=window), ["le", *labels])
    return f"histogram_quantile({q}, {rates})"


def events(form: Form, series: Series, labels: Sequence[str] = (), window: str = WINDOW) -> str:
    """Events a second. All forms of pages have the last bucket; a count without a sum is not always there."""
    if form is Form.NATIVE:
        return f"histogram_count({over('sum', series('', window=window), labels)})"
    return over("sum", series("_bucket", 'le="+Inf"', window=window), labels)


def mean(form: Form, series: Series, labels: Sequence[str] = (), window: str = WINDOW) -> str:
    """Only of families that have a sum."""
    if form is Form.NATIVE:
        whole = over("sum", series("", window=window), labels)
        return f"histogram_sum({whole}) / histogram_count({whole})"
    sums = over("sum", series("_sum", window=window), labels)
    return f"{sums} / {events(form, series, labels, window)}"


def heat(form: Form, series: Series) -> str:
    """How many events each bucket had."""
    if form is Form.NATIVE:
        return over("sum", series("", function=increase))
    return over("sum", series("_bucket", function=increase), ["le"])
