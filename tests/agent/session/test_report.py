# SPDX-License-Identifier: GPL-2.0-or-later
"""The last lines of a run: what is missing in its numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.scripts.compile_client import CompileError
from agent.session import probe_times
from agent.session.compile_options import CompileOptions
from agent.session.options import RunOptions
from agent.session.report import Report
from compiler.protocol import Diagnostic, Pass


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


@pytest.mark.parametrize(("passes", "shown"), [(0, False), (1, True), (2, False)])
def test_a_table_of_the_errors_of_pass_2(
    passes: int, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        Diagnostic("unknown-function", "unknown function 'f'", "x.stp", 3, 15, text="E1"),
        Diagnostic("no-probe", "the script has\nno probe", text="E2"),
    ]
    failed = CompileError(found, passes=(Pass(1, "parsed", 0.1, 0, 0.1, ""),) * passes)
    for wanted in (False, True):
        Report(RunOptions(CompileOptions(), error_catalogue=wanted)).not_compiled(failed)
        table = [
            "SEMANTIC_ERRORS: 2",
            "SEMANTIC_ERROR\tx.stp\t3\t15\tf\tunknown function 'f'",
            "SEMANTIC_ERROR\t-\t0\t0\t-\tthe script has no probe",
            "SEMANTIC_ERRORS_END",
        ]
        told = capsys.readouterr().err.splitlines()
        assert [line for line in told if line in table] == (table if wanted and shown else [])


def test_hits_and_times() -> None:
    assert list(probe_times.lines(shot(hits=10))) == [
        "----- probe hit report:\n",
        'f("a"), (x.stp:1:7), hits: 10, ns: 421avg/4210sum, errors: 0, from: f("*"), index: 0\n',
    ]
    assert len(list(probe_times.lines(shot()))) == 1
