# SPDX-License-Identifier: GPL-2.0-or-later
"""Explanations as trees and as text, from a manifest written by hand. tests/examples has those of real scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import MetricSettings
from agent.config.yaml_tree import Position
from agent.scripts.compile_client import Compiled
from agent.session import explanation, explanation_text
from runtime.abi.manifest import Histogram, HistogramKind, Statistic, Storage, ValueType
from runtime.support.record import replace
from tests.runtime.images import Plan, with_print

PROBE: dict[str, Any] = {
    "probe": 'kernel.function("f0")',
    "written": 'kernel.function("f0")',
    "hook": "ftrace",
    "mechanism": "ftrace",
    "context": "somewhere",
    "functions": 1,
    "optional": False,
    "condition": False,
    "types": "BTF of vmlinux",
    "arguments": 2,
    "memory_reads": 1,
    "hook_cost": 30,
    "hook_cost_unit": "instructions",
    "handler_instructions": 1015,
    "loops": 0,
    "kernel_functions": {},
    "instructions": 1045,
    "cost_problem": "",
}
UNKNOWN = {
    **PROBE,
    "written": 'kernel.function("f*")',
    "functions": 1200,
    "condition": True,
    "arguments": 0,
    "memory_reads": 0,
    "hook_cost": 1600,
    "hook_cost_unit": "cycles",
    "handler_instructions": None,
    "instructions": None,
    "cost_problem": "objdump: no such file or directory",
}
TEXT = """\
script x: x.stp, variant new
  module swatch_x for Linux 6.1.0

probes
  kernel.function("f0")  at x.stp:0:1
    hook   ftrace
    runs   somewhere
    types  BTF of vmlinux; the handler has 2 reads of arguments and 1 read of memory
    a hit  about 1,045 instructions: 30 of the hook, 1,015 of the handler
  kernel.function("f*")  at x.stp:1:1
    hook   ftrace, 1,200 functions
    runs   somewhere
    types  BTF of vmlinux; the handler uses none
    a hit  1,600 cycles of the hook; the handler's are not known: objdump: no such file or directory
    armed  while its condition is true

metrics
  GLOBAL  FAMILY                  TYPE       UNIT   LABELS    BUCKETS
  reads   stapwatch_x_reads       gauge             execname
  size    stapwatch_x_size_bytes  histogram  bytes            1 8 64
  name    (not exported)
  and 1 statement prints log lines
  problem: y.yaml:1:1: no global 'nosuch' to export in script 'x'; known here: name, reads, size

kernel memory: 22 KiB on 2 CPUs
  reads[100]  6 KiB  a row of 8 bytes for each CPU  at r.stp:1:8
  rings       8 KiB  of printed lines
  the rest    8 KiB  counters and other globals

Instructions are an estimate."""


def made() -> dict[str, Any]:
    plan = Plan(lanes=2)
    reads = plan.array("reads", {"execname": 16}, 100)
    histogram = Histogram(HistogramKind.BOUNDS, 2, 4, bounds=(1, 8, 64))
    statistic = Statistic(count=0, sum=1, histogram=histogram)
    plan.scalar("size", value=ValueType.STAT, row_size=48, statistic=statistic)
    plan.scalar("name", Storage.SHARED, ValueType.STRING, 512)
    found = with_print(plan.manifest(), "hello\n")
    tables = (replace(reads, location="r.stp:1:8"), *found.tables[1:])
    index = 4 * 256  # which the plan does not have
    manifest = replace(
        found, ring_size=4096, tables=tables, shared_size=found.shared_size + 8 * index
    )
    compiled = Compiled("swatch_x", Path("x.ko"), "", False, 0.0, variant="new")
    compiled = replace(compiled, output=json.dumps([PROBE, UNKNOWN]))
    here = Position("y.yaml", 1, 1)
    metrics = {
        "size": MetricSettings("size", here, unit="bytes"),
        "nosuch": MetricSettings("nosuch", here),
    }
    return explanation.explanation("x", "x.stp", compiled, manifest, metrics, frozenset(), 2)


def test_the_text() -> None:
    text = explanation_text.text(made())
    assert text[: len(TEXT)].splitlines() == TEXT.splitlines()


def test_the_parts_of_the_memory_add_up() -> None:
    memory = made()["memory"]
    arrays = sum(array["bytes"] for array in memory["arrays"])
    assert arrays + memory["rings_bytes"] + memory["rest_bytes"] == memory["bytes"]


@pytest.mark.parametrize(
    ("histogram", "words"),
    [
        (Histogram(HistogramKind.LOG2, 0, 65), "powers of 2"),
        (Histogram(HistogramKind.LOG2, 0, 129, negative=True), "powers of 2, negative ones too"),
        (Histogram(HistogramKind.LINEAR, 0, 13, low=0, high=100, interval=10), "0 to 100 by 10"),
        (Histogram(HistogramKind.BOUNDS, 0, 21, bounds=tuple(range(20))), "0 1 2 3 4 5 6 7 8 9 10 11 ..."),
    ],
)  # fmt: skip
def test_buckets_in_words(histogram: Histogram, words: str) -> None:
    assert explanation.buckets(histogram) == words
