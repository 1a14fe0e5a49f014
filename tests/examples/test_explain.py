# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch explain` for a real kernel: its whole text, and its estimates against what the bench has measured."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.scripts.compile_client import Compiled
from agent.session import explanation, explanation_text
from compiler.driver.compile import compile_script
from compiler.protocol import Request
from lab import DEFAULT_KERNEL, Image
from lab.warm_cache import warm_cache
from tests import PROJECT
from tests.module_file import manifest_of_module

GOLDEN = PROJECT / "tests/golden/codegen"
BENCH = PROJECT / "tests/bench/scripts"
SCRIPT = """global reads[100], size, start, names
probe kernel.function("vfs_read") { reads[execname()]++; size <<< $count }
probe syscall.openat { printf("%s\\n", filename) }
probe timer.s(5) { foreach (n in reads) names = n }
probe kernel.function("tcp_v[46]_rcv")? { start[tid()] = 1; delete start[tid()] }
"""
TEXT = """\
script x: x.stp
  module MODULE for Linux RELEASE

probes
  kernel.function("vfs_read")  at x.stp:2:7
    hook   ftrace (fentry); a kprobe where ftrace refuses
    runs   in the function's caller; preemption is off
    types  BTF of vmlinux; the handler has 1 read of an argument
    a hit  about N instructions: 35 of the hook, N of the handler
  kernel.function("__x64_sys_openat").call, of syscall.openat  at x.stp:3:7
    hook   ftrace (fentry); a kprobe where ftrace refuses
    runs   in the function's caller; preemption is off
    types  the library's alias; BTF of vmlinux; the handler has 1 read of an argument
    a hit  about N instructions and the kernel's copy_from_user_nofault: 35 of the hook, N of the handler; \
N loops on the way, each counted once
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    image = Image.ensure(DEFAULT_KERNEL)
    cache = tmp_path_factory.mktemp("cache") / "cache"
    shutil.copytree(warm_cache(PROJECT, image), cache)
    kernel = {"root": str(image.rootfs), "release": image.release}
    return {"kernel": kernel, "cache": str(cache), "output": str(cache.parent / "made")}


def explained(text: str, name: str, target: dict[str, Any]) -> dict[str, Any]:
    request = Request(name=name, text=text, source=f"{name}.stp", explain=True, **target)
    response = compile_script(request, lambda line: None)
    assert response.ok, "\n".join(error.text for error in response.errors)
    path = Path(response.path)
    compiled = Compiled(response.module, path, "", False, 0.0, output=response.output)
    manifest = manifest_of_module(path)
    return explanation.explanation(name, f"{name}.stp", compiled, manifest, {}, frozenset(), cpus=2)


def test_the_text(target: dict[str, Any]) -> None:
    tree = explained(SCRIPT, "x", target)
    text = explanation_text.text(tree)
    release = tree["kernel"]
    plain = text.replace(tree["module"], "MODULE").replace(release, "RELEASE")
    numbers = r"(?<=about )[\d,]+|(?<=hook, )\d[\d,]*|(?<=handler; )\d+"
    assert re.sub(numbers, "N", plain).startswith(TEXT)
    assert "timer.s(5)  at x.stp:4:7\n    hook   hrtimer\n" in text
    wildcard = text[text.index('kernel.function("tcp_v[46]_rcv")') :]
    assert "where ftrace refuses, 2 functions\n" in wildcard
    _, _, rest = text.partition("\n\nmetrics\n")
    metrics, _, memory = rest.partition("\n\n")
    assert metrics.splitlines() == [
        "  GLOBAL  FAMILY             TYPE       LABELS    BUCKETS",
        "  reads   stapwatch_x_reads  counter    execname",
        "  size    stapwatch_x_size   histogram            powers of 2",
        "  start   (not exported)",
        "  names   (not exported)",
        "  and 1 statement prints log lines",
    ]
    assert memory.startswith("kernel memory: ")
    assert re.search(
        r"\n  reads\[100\] +\d+ KiB +a row of 8 bytes for each CPU +at x.stp:1:8\n", memory
    )


def test_memory_is_what_the_module_takes(target: dict[str, Any]) -> None:
    """The parts add up to all of it."""
    memory = explained(SCRIPT, "x", target)["memory"]
    parts = memory["rest_bytes"] + memory["rings_bytes"]
    assert parts + sum(a["bytes"] for a in memory["arrays"]) == memory["bytes"]
    assert [a["slots"] for a in memory["arrays"] if a["global"] == "reads"] == [100]
    assert memory["rest_bytes"] > 0 and memory["rings_bytes"] == 2 * memory["ring_bytes"]


@pytest.mark.parametrize(
    ("file", "title", "off"),
    [
        (GOLDEN / "count.stp", "count calls of a kernel function", 0.1),
        (GOLDEN / "count-by-key.stp", "count by execname", 0.1),
        (GOLDEN / "histogram.stp", "histogram of an argument", 0.1),
        (GOLDEN / "latency.stp", "latency from entry to return, by thread, into a histogram", 0.1),
        (BENCH / "sys-enter.stp", "count every system call at sys_enter", 0.1),
        # it copies a string, in loops
        (BENCH / "printf.stp", "printf of four arguments into the event ring", 0.4),
    ],
)
def test_estimates_are_near_what_was_measured(
    file: Path, title: str, off: float, target: dict[str, Any]
) -> None:
    [row] = re.findall(rf"^\| {re.escape(title)} \(Linux 6\.1\) .*", README, re.MULTILINE)
    measured = float(re.findall(r"\*\*([\d,.]+)\*\*", row)[0].replace(",", ""))
    probes = explained(file.read_text(), file.stem.replace("-", "_"), target)["probes"]
    assert sum(p["instructions"] for p in probes if p["hook"] != "paired") == pytest.approx(
        measured, rel=off
    )


README = (PROJECT / "README.md").read_text()


def test_an_explained_script_is_in_the_cache(target: dict[str, Any]) -> None:
    """It is compiled as it always is: the service need not do it again."""
    text = "global n probe timer.s(1) { n++ }"
    explained(text, "cached", target)
    again = compile_script(
        Request(name="cached", text=text, source="cached.stp", **target), lambda line: None
    )
    assert again.ok and again.cached and again.output == ""
