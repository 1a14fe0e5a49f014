# SPDX-License-Identifier: GPL-2.0-or-later
"""An explanation (explanation.py) for people.

probes
  kernel.function("vfs_read")  at reads.stp:2:7
    hook   ftrace (fentry); a kprobe where ftrace refuses
    runs   in the function's caller; preemption is off
    types  BTF of vmlinux; the handler uses none
    a hit  about 45 instructions: 30 of the hook, 15 of the handler
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ABOUT_INSTRUCTIONS = """\
Instructions are an estimate. Of a hook: what stapwatch's bench measures on Linux 6.1, or a rough
constant in cycles. Of a handler: the path through its compiled code on which no branch is taken,
each loop once. What a script that runs really costs: stapwatch status SCRIPT"""


def text(tree: Mapping[str, Any]) -> str:
    variant = f", variant {tree['variant']}" if tree["variant"] else ""
    memory = tree["memory"]
    head = [
        f"script {tree['script']}: {tree['source']}{variant}",
        f"  module {tree['module']} for Linux {tree['kernel']}",
    ]
    parts = [
        head,
        ["probes", *(line for probe in tree["probes"] for line in _probe(probe))],
        ["metrics", *_metrics(tree)],
        [f"kernel memory: {_size(memory['bytes'])} on {_cpus(memory['cpus'])}", *_memory(memory)],
        [_ABOUT_INSTRUCTIONS],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _probe(probe: Mapping[str, Any]) -> list[str]:
    many = probe["functions"] > 1
    point = probe["written"] if many else probe["probe"]
    count = f", {probe['functions']:,} functions" if many else ""
    named = "" if many or probe["written"] == probe["probe"] else f", of {probe['written']}"
    facts = [
        ("hook", f"{probe['mechanism']}{count}"),
        ("runs", probe["context"]),
        ("types", f"{probe['types']}; {_uses(probe)}"),
        ("a hit", _cost(probe)),
    ]
    if probe["condition"]:
        facts.append(("armed", "while its condition is true"))
    lines = [f"    {name:<6} {fact}" for name, fact in facts]
    return [f"  {point}{named}  at {probe['location']}", *lines]


def _uses(probe: Mapping[str, Any]) -> str:
    parts = [
        _count(probe["arguments"], "read of an argument", "reads of arguments"),
        _count(probe["memory_reads"], "read of memory", "reads of memory"),
    ]
    used = " and ".join(filter(None, parts))
    return f"the handler has {used}" if used else "the handler uses none"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""


def _cost(probe: Mapping[str, Any]) -> str:
    handler, unit = probe["handler_instructions"], probe["hook_cost_unit"]
    hook = f"{probe['hook_cost']:,}"
    if handler is None:
        return f"{hook} {unit} of the hook; the handler's are not known: {probe['cost_problem']}"
    called = sorted(probe["kernel_functions"])
    of_kernel = f" and the kernel's {', '.join(called)}" if called else ""
    if unit == "instructions":
        whole = f"{probe['hook_cost'] + handler:,}"
        found = (
            f"about {whole} instructions{of_kernel}: {hook} of the hook, {handler:,} of the handler"
        )
    else:
        found = (
            f"about {hook} {unit} of the hook, {handler:,} instructions of the handler{of_kernel}"
        )
    if loops := probe["loops"]:
        found += f"; {_count(loops, 'loop', 'loops')} on the way, each counted once"
    return found


def _metrics(tree: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            m["global"],
            m["family"] or "(not exported)",
            m["type"],
            m["unit"],
            ",".join(m["labels"]),
            m["buckets"],
        ]
        for m in tree["metrics"]
    ]
    lines = _table([["GLOBAL", "FAMILY", "TYPE", "UNIT", "LABELS", "BUCKETS"], *rows], head=1)
    if not rows:
        lines = ["  none: the script has no globals that it writes"]
    if prints := tree["prints"]:
        lines.append(f"  and {_count(prints, 'statement prints', 'statements print')} log lines")
    return [*lines, *(f"  problem: {problem}" for problem in tree["problems"])]


def _memory(memory: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            f"{a['global']}[{a['slots']}]",
            _size(a["bytes"]),
            f"a row of {a['row_bytes']} bytes {'for each CPU' if a['per_cpu'] else 'for all CPUs'}",
            f"at {a['location']}",
        ]
        for a in memory["arrays"]
    ]
    rows.append(["rings", _size(memory["rings_bytes"]), "of printed lines", ""])
    rows.append(["the rest", _size(memory["rest_bytes"]), "counters and other globals", ""])
    return _table(rows)


def _table(rows: Sequence[Sequence[str]], head: int = 0) -> list[str]:
    """Without columns that are empty below the rows of the head."""
    used = [n for n in range(len(rows[0])) if any(row[n] for row in rows[head:])]
    widths = [max(len(row[n]) for row in rows) for n in used]
    return [
        f"  {'  '.join(row[n].ljust(w) for n, w in zip(used, widths, strict=True))}".rstrip()
        for row in rows
    ]


def _size(size: int) -> str:
    return f"{size / 1024:,.0f} KiB" if size < 1 << 20 else f"{size / (1 << 20):,.1f} MiB"


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"
