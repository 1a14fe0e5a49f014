# SPDX-License-Identifier: GPL-2.0-or-later
"""The last lines of a run: what is missing in its numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.session import probe_times
from agent.session.compile_options import CompileOptions
from agent.session.options import RunOptions
from agent.session.report import Report


def shot(lost: int = 0, **counts: int) -> Any:
    """A snapshot of one probe."""
    none = dict.fromkeys(
        ("hits", "errors", "skipped_reentrant", "skipped_lock", "missed", "error"), 0
    )
    point = SimpleNamespace(point='f("a")', written='f("*")', location="x.stp:1:7")
    probe = SimpleNamespace(probe=point, cpu_ns=4210, **{**none, **counts})
    return SimpleNamespace(probes=[probe], lanes=SimpleNamespace(events_lost=lost), tables=[])


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (shot(), []),
        (shot(errors=2), ["Number of errors: 2, skipped probes: 0"]),
        (
            shot(skipped_lock=3, missed=4),
            [
                "Number of errors: 0, skipped probes: 7",
                "Skipped due to a lock timeout: a table stayed locked: 3",
                "Skipped due to missed hits, which the kernel did not report: 4",
            ],
        ),
        (
            shot(lost=5),
            [
                "There were 5 transport failures.",
                "5 prints found the output buffer full; -s MB makes it larger",
            ],
        ),
    ],
)
def test_what_is_missing(found: Any, wanted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Report(RunOptions(CompileOptions())).losses(found)
    assert capsys.readouterr().err.splitlines() == [f"WARNING: {line}" for line in wanted]
    Report(RunOptions(CompileOptions(), quiet=True)).losses(found)
    assert capsys.readouterr().err == ""


def test_hits_and_times() -> None:
    assert list(probe_times.lines(shot(hits=10))) == [
        "----- probe hit report:\n",
        'f("a"), (x.stp:1:7), hits: 10, ns: 421avg/4210sum, errors: 0, from: f("*"), index: 0\n',
    ]
    assert len(list(probe_times.lines(shot()))) == 1
