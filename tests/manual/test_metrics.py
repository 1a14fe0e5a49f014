# SPDX-License-Identifier: GPL-2.0-or-later
"""stapwatch-metrics(7) has every family of the agent's own page once, with its labels, and every reason of a loss."""

from __future__ import annotations

import re

from agent.daemon.losses import LOSSES
from manual import metrics
from tests.manual.page import page

_TERM = re.compile(r"(\w+)(?:\{([\w,]*)\})? \((\w+)\)")


def test_every_family_is_there_once() -> None:
    found = [
        match.groups() for t in page("stapwatch-metrics.7").terms() if (match := _TERM.match(t))
    ]
    wanted = [
        (metrics.shown_name(f), ",".join(getattr(f, "_labelnames", ())) or None, f.type)
        for f in metrics.families()
    ]
    assert len(wanted) > 40
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_every_reason_is_there() -> None:
    found = page("stapwatch-metrics.7").terms("WHICH NUMBERS CAN BE TRUSTED")
    assert found == [loss.reason for loss in LOSSES]
