# SPDX-License-Identifier: GPL-2.0-or-later
"""The `alert:` of a metric: a threshold, of which `stapwatch dashboards` makes a rule for Prometheus.

    {above: 0.5, of: p99, for: 5m, severity: critical}
    -> (MetricAlert(above=Decimal("0.5"), of="p99", wait=300.0, severity=Severity.CRITICAL),)

What an alert may be `of` depends on the metric's type. If that is not declared, the command sees it.
"""

from __future__ import annotations

import re

from agent.config import schema
from agent.config.metric_names import LABEL_NAME
from agent.config.schema import Reader, SchemaError
from agent.config.settings import MetricAlert, MetricType, Severity
from agent.config.yaml_tree import Mapping, Node, Scalar, Sequence

VALUE, RATE, MEAN = "value", "rate", "mean"
_QUANTILE = r"p(?!0+(?:\.0*)?$)[0-9]{1,2}(?:\.[0-9]+)?"
_OF = rf"{VALUE}|{RATE}|{MEAN}|{_QUANTILE}"
_OF_HINT = "write value, rate, mean, or a quantile as p99 or p99.9"
# By type: what an alert can be of; the first is the default.
_CAN_BE_OF = {
    MetricType.COUNTER: (RATE,),
    MetricType.GAUGE: (VALUE,),
    MetricType.HISTOGRAM: ("", RATE, MEAN, "a quantile"),
    MetricType.SUMMARY: (MEAN, RATE),
    MetricType.INFO: (),
}


def read(node: Node, reader: Reader, kind: MetricType | None) -> tuple[MetricAlert, ...]:
    """One alert, or a list of them. `kind`: as it is declared."""
    if not isinstance(node, Mapping | Sequence):
        raise SchemaError(node.position, "must be an alert", "write {above: 0.5, of: p99, for: 5m}")
    nodes = node.items if isinstance(node, Sequence) else (node,)
    found = (reader.attempt(lambda n: _alert(n, reader, kind), item) for item in nodes)
    return tuple(alert for alert in found if alert is not None)


def quantile(of: str) -> float | None:
    """0.99 for p99; None if it is no quantile."""
    return float(of[1:]) / 100 if re.fullmatch(_QUANTILE, of) else None


def subject(of: str, kind: MetricType) -> str:
    """The number that an alert for a metric of this type compares. ValueError names those that it can."""
    can = _CAN_BE_OF[kind]
    if not can:
        raise ValueError(f"there are no alerts for {_a(kind)}")
    word = "a quantile" if quantile(of) is not None else of or can[0]
    if word in can and word:
        return of or can[0]
    known = ", ".join(filter(None, can))
    raise ValueError(f"an alert for {_a(kind)} is of {known}{'' if of else '; say which'}")


def _a(kind: MetricType) -> str:
    return f"{'an' if kind is MetricType.INFO else 'a'} {kind}"


def _alert(node: Node, reader: Reader, kind: MetricType | None) -> MetricAlert | None:
    fields = {
        "above": schema.number,
        "below": schema.number,
        "of": schema.matching(_OF, "what an alert can be of", _OF_HINT),
        "for": _wait,
        "severity": schema.choice(Severity),
        "summary": schema.text,
        "name": schema.matching(LABEL_NAME, "an alert's name", "use letters, digits and '_'"),
        "runbook": schema.text,
    }
    values = reader.record(node, "an alert", fields)
    given = schema.mapping(node, "an alert").entries
    if ("above" in given) == ("below" in given):
        text = "an alert needs either 'above' or 'below'"
        raise SchemaError(node.position, text, "a number in the metric's unit")
    if not values.keys() & {"above", "below"}:
        return None
    if "for" in values:
        values["wait"] = values.pop("for")
    alert = MetricAlert(**values)
    if kind is not None:
        try:
            subject(alert.of, kind)
        except ValueError as error:
            raise SchemaError(node.position, str(error)) from None
    return alert


def _wait(node: Node) -> float:
    """A duration, or 0."""
    if isinstance(node, Scalar) and node.text in ("0", "0s"):
        return 0.0
    return schema.seconds(node)
