# SPDX-License-Identifier: GPL-2.0-or-later
"""No hit executes more than 100 instructions for each of its actions, whatever it does.

    FUZZ_PROGRAMS=10000 FUZZ_SEED=7 pytest tests/language/test_charges.py        (make fuzz)

Scripts run in user space, as the kernel's flags compile them, and count their instructions. The fuzzer's programs
are made dear, so that most of their handlers end because they have no action left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from compiler.codegen.costs import INSTRUCTIONS
from compiler.ir.options import Limits, with_defines
from runtime.abi.manifest import Probe
from tests.language.fuzz.swell import swollen
from tests.language.test_programs import GROUP, group, parts
from tests.language.userspace import HostedRuntime, Outcome, Script
from tests.language.work import KINDS, SHORT, Kind, short

COUNT = int(os.environ.get("FUZZ_PROGRAMS", "24"))
BATCH = 5  # groups compiled at once
EXCEEDED = "MAXACTION exceeded"


@pytest.fixture(scope="module")
def counted() -> Iterator[HostedRuntime]:
    with HostedRuntime.open(counted=True) as found:
        yield found


def limit(probe: Probe, limits: Limits) -> int:
    """The actions that a hit of a probe has."""
    if probe.hook in ("begin", "end", "error"):
        return limits.MAXACTION_INTERRUPTIBLE
    if probe.hook.startswith("timer"):
        return max(limits.MAXACTION, limits.MAXACTION_INTERRUPTIBLE // 10)
    return limits.MAXACTION


def excess(script: Script, outcome: Outcome) -> list[str]:
    """The probes whose hits took too long; a fault of ours likewise."""
    if outcome.fault:
        return [outcome.fault]
    if outcome.snapshot is None:
        return []
    limits = with_defines(Limits(), script.defines).limits
    told = []
    for counts, took in zip(outcome.snapshot.probes, outcome.instructions, strict=True):
        most = limit(counts.probe, limits) * INSTRUCTIONS
        if took > most:
            told.append(f"{counts.probe.written}: {took} instructions, {most} are paid for")
    return told


# ---------------------------------------------------------------- generated programs


@pytest.mark.parametrize("numbers", parts(COUNT), ids=str)
def test_no_generated_program_does_more_than_it_pays_for(
    counted: HostedRuntime, numbers: range
) -> None:
    ended = 0
    for start in range(0, len(numbers), BATCH):
        scripts = [
            Script(
                "p",
                swollen(program, room=4096 if i % 4 == 0 else 512),
                rounds=2,
                lanes=program.lanes if i % 2 else 8,
                defines={
                    "MAXSTRINGLEN": "4096" if i % 4 == 0 else "512",
                    "MAXACTION": "1000" if i % 3 else "100",
                },
                guru=any(f.code for f in program.functions),
            )
            for number in numbers[start : start + BATCH]
            for i, program in enumerate(group(number))
        ]
        for script, outcome in zip(scripts, counted.run(scripts), strict=True):
            if told := excess(script, outcome):
                pytest.fail(f"{script.text!s}\n{script.defines}\n" + "\n".join(told), pytrace=False)
            ended += any(EXCEEDED in error for error in outcome.errors)
    assert ended > len(numbers) * GROUP // 3  # else nothing was tried


# ---------------------------------------------------------------- one kind of work each


def script_of(kind: Kind) -> Script:
    return Script(
        "k",
        kind.script("timer.profile"),
        defines={
            "MAXSTRINGLEN": str(kind.room),
            "MAXACTION_INTERRUPTIBLE": "10000000",
            "RINGSIZE": str(1 << 22),
        },
        lanes=kind.lanes,
        strict=False,
    )


def test_each_kind_of_work_is_paid_for(counted: HostedRuntime) -> None:
    told = []
    outcomes = counted.run([script_of(kind) for kind in KINDS])
    for kind, outcome in zip(KINDS, outcomes, strict=True):
        if outcome.diagnostics or outcome.fault:
            told.append(f"{kind.name}: {outcome.diagnostics}{outcome.fault}")
            continue
        took = outcome.instructions[-1]
        if not any(EXCEEDED in error for error in outcome.errors):
            told.append(f"{kind.name}: {outcome.errors}, after {took} instructions")
        told += [f"{kind.name}: {text}" for text in excess(script_of(kind), outcome)]
        print(f"{kind.name}: {took / Limits().MAXACTION:.1f} instructions an action")
    assert told == []


@pytest.mark.parametrize("length", SHORT)
def test_work_on_short_strings_is_paid_for(counted: HostedRuntime, length: int) -> None:
    names, text = short(length)
    limits = {"MAXSTRINGLEN": "512", "MAXACTION": "500", "MAXACTION_INTERRUPTIBLE": "5000"}
    script = Script("k", text, defines=limits, strict=False)
    [outcome] = counted.run([script])
    assert outcome.diagnostics == outcome.fault == ""
    assert sum(EXCEEDED in error for error in outcome.errors) == len(names)
    assert excess(script, outcome) == [], dict(enumerate(names, 2))
