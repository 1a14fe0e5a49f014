# SPDX-License-Identifier: GPL-2.0-or-later
"""Which labels a metric has, by what its configuration says."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.load import ConfigError, loads
from agent.config.settings import MetricSettings
from agent.labels.sources import Plan, plan_labels
from runtime.abi.manifest import Key, ValueType

LONG, STRING = ValueType.LONG, ValueType.STRING
KEYS = (
    Key("execname", STRING, 0, 16),
    Key("pid", LONG, 16, 8),
    Key("cgroup_id", LONG, 24, 8),
)


def metric(labels: str) -> MetricSettings:
    text = f"scripts: {{s: {{text: '', metrics: {{n: {{labels: {labels}}}}}}}}}"
    return loads(text).scripts["s"].metrics["n"]


def made(plan: Plan) -> dict[str, Any]:
    """By label: the number of its key, and its decoder."""
    sources = plan.sources
    assert sources is not None
    return {
        label: (source.key, source.how.decode if source.how is not None else None)
        for label, source in zip(plan.labels, sources, strict=True)
    }


def test_keys_without_a_declaration() -> None:
    assert plan_labels(KEYS[:2], None) == Plan(("execname", "pid"), None)


def test_the_number_of_a_cgroup_is_of_no_use() -> None:
    plan = plan_labels(KEYS, None)
    assert made(plan) == {"execname": (0, None), "pid": (1, None), "cgroup": (2, "cgroup")}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            "[comm, pid, cg]",
            {"comm": (0, None), "pid": (1, None), "cg": (2, "cgroup")},
        ),
        (
            "[comm, pid, {from: cgroup_id, name: unit, decode: systemd_unit}]",
            {"comm": (0, None), "pid": (1, None), "unit": (2, "systemd_unit")},
        ),
        (
            "[{from: cgroup_id, decode: systemd_unit}, {from: cgroup_id, decode: container_id}]",
            {
                "execname": (0, None),
                "pid": (1, None),
                "systemd_unit": (2, "systemd_unit"),
                "container_id": (2, "container_id"),
            },
        ),
        (
            "[{from: pid, drop: true}, comm, {from: cgroup_id, name: cg}]",
            {"comm": (0, None), "cg": (2, "cgroup")},
        ),
        (
            "[{from: 3, drop: true}, {from: 2, drop: true}]",
            {"execname": (0, None)},
        ),
        ("[{from: 1, drop: true}, {from: 2, drop: true}, {from: 3, drop: true}]", {}),
        ("{from: cgroup, drop: true}", {"execname": (0, None), "pid": (1, None)}),
    ],
)
def test_declared_labels(labels: str, expected: dict[str, Any]) -> None:
    plan = plan_labels(KEYS, metric(labels))
    assert made(plan) == expected
    assert not plan.problems


def test_raw_switches_the_default_off() -> None:
    plan = plan_labels(KEYS, metric("{from: cgroup_id, decode: raw}"))
    assert plan == Plan(("execname", "pid", "cgroup_id"), None)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("[a]", "1 labels declared for 3 keys"),
        ("[a, {from: pid, drop: true}]", "1 labels declared for 2 keys"),
        ("{from: pod, drop: true}", "no key 'pod' to make a label of; did you mean 'pid'?"),
        ("{from: execname, decode: user}", "key 'execname' is a text, which is no user"),
        ("{from: pid, name: execname}", "label 'execname' is there twice"),
    ],
)
def test_what_does_not_fit_the_keys(labels: str, problem: str) -> None:
    plan = plan_labels(KEYS, metric(labels))
    assert any(text.startswith(problem) for text in plan.problems), plan.problems


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("[{name: unit}]", "a label needs 'from'"),
        ("[{from: a, decode: units}]", "unknown value 'units'"),
        ("[{from: a, drop: true, name: b}]", "key 'a' is dropped, and becomes a label"),
        ("[{from: a, others: b}]", "'others' needs 'match' or 'map'"),
        ("[{from: a, match: x, others: b, drop_others: true}]", "exclude each other"),
        ("[{from: a, match: '('}]", "not a regular expression"),
        ("[{from: a, replace: b}]", "'replace' needs 'match'"),
        ("[{from: a, match: x, replace: $1}]", "not a replacement"),
        ("[{from: a, name: le}]", "label name 'le' is reserved"),
        ("[b, {from: a, name: b}]", "label 'b' is named twice"),
        ("[b, b]", "label 'b' is named twice"),
    ],
)
def test_wrong_declarations(labels: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        metric(labels)
    assert message in str(error.value)


def test_a_replacement_is_written_as_in_prometheus() -> None:
    how = metric(r"[{from: a, match: '(.*)-(?P<n>\d+)', replace: '$1/${n}$$\x'}]").made_labels[0]
    assert how.replace == r"\g<1>/\g<n>$\\x"
    assert metric("[{from: a, match: x}]").made_labels[0].others == "other"
