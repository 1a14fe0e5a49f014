# SPDX-License-Identifier: GPL-2.0-or-later
"""The status of one script in full: module, budgets, metrics, hooks, losses, errors.

script vfs: running for 3 h
  module    sw_vfs_1a2b3c4d, of compiler 0.1.0+..., for Linux 6.1.0 (abi 1)
  ...
metrics
  GLOBAL  FAMILY               TYPE     LABELS    SERIES  ELEMENTS  ROOM
  reads   stapwatch_vfs_reads  counter  execname      12        12  2,048
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli import status_table, status_text
from agent.cli.status_text import NOTHING, cost, duration, memory, number, rate, share
from agent.daemon.status_tree import reasons

_SHOWN = 5  # functions of one probe that were refused, or wait


def text(tree: Mapping[str, Any], name: str, now: float, width: int | None = None) -> str:
    """`tree`: what `/status?script=NAME` answers. `now`: seconds since 1970."""
    [script, *_] = [s for s in tree["scripts"] if s["name"] == name] or [None]
    [entry, *_] = [e for e in tree.get("rollout", ()) if e["name"] == name] or [{}]
    if script is None:
        return f"script {name} is {entry.get('state')} on this host: {entry.get('reason', '')}"
    if "recent_errors" not in script:
        found = status_table.table({"scripts": [script]}, now, width)
        return f"{found}\n\nthe running agent is an older one, which says no more of a script"
    lines = [f"script {name}: {script['state']} for {duration(now - script['since'])}"]
    for sentence in reasons(script):
        lines += status_text.indented(sentence, width)
    lines += [f"  {line}" for line in status_text.columns(_facts(script, entry))]
    for title, part in (
        ("metrics", _metrics(script.get("metrics", ()))),
        ("hooks", _hooks(script.get("hooks", ()), width)),
        ("losses", _losses(script.get("losses_by_reason", ()))),
        ("errors", _errors(script.get("recent_errors", ()), now)),
    ):
        if part:
            lines += ["", title, *part]
    return "\n".join(lines)


def _facts(script: Mapping[str, Any], entry: Mapping[str, Any]) -> list[list[str]]:
    variant = f", variant {script['variant']}" if script["variant"] else ""
    facts = [
        ["source", f"{script['source']}, revision {script['revision'] or 'unknown'}{variant}"],
        ["rollout", "; ".join(filter(None, [entry.get("wanted", ""), entry.get("reason", "")]))],
    ]
    if script["module"]:
        kernel = f"for Linux {script['kernel']} (abi {script['abi']})"
        facts.append(["module", f"{script['module']}, compiler {script['compiler']}, {kernel}"])
    took = (
        f"compiled in {script['compile_seconds']:.2f} s, loaded in {script['load_seconds']:.2f} s"
    )
    facts.append(["start", took])
    if "hits" in script:
        per_second = script["hits_per_second"]
        now = "" if per_second is None else f", {rate(per_second)} a second"
        taken = "" if per_second is None else f", {share(script['cpu_share'])} of the CPUs' time"
        facts.append(["hits", f"{script['hits']:,}{now}, {cost(script['cost_ns'])} a hit{taken}"])
        limit = script["series_limit"]
        of = "" if limit is None else f" of {limit:,}"
        facts.append(["series", f"{number(script['series'])}{of}"])
        rings = f"of which each CPU's ring has {memory(script['ring_bytes'])}"
        facts.append(["memory", f"{memory(script['memory_bytes'])}, {rings}"])
        facts.append(
            ["complete", "yes" if script["complete"] else "no: its numbers miss something"]
        )
    facts.append(["budgets", _budgets(script["budgets"])])
    facts.append(["disarms", _disarms(script["disarmed"])])
    return [fact for fact in facts if fact[1]]


def _budgets(budgets: Mapping[str, Any]) -> str:
    hit_time, hit_rate = budgets["hit_time_ns"], budgets["hits_per_second"]
    parts = [
        ("cpu", share(budgets["cpu_share"])),
        ("one_cpu", share(budgets["one_cpu_share"])),
        ("hit_time", NOTHING if hit_time is None else cost(float(hit_time))),
        ("hit_rate", NOTHING if hit_rate is None else f"{hit_rate:,}/s"),
        ("kernel_memory", budgets["kernel_memory"] or NOTHING),
        ("log_lines", _per_second(budgets["log_lines_per_second"])),
    ]
    return ", ".join(f"{name} {text}" for name, text in parts if text != NOTHING) or "off"


def _per_second(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}/s"


def _disarms(disarmed: Mapping[str, Any]) -> str:
    times, due = disarmed["times"], disarmed["armed_in_seconds"]
    found = f"{times:,}, for {duration(disarmed['seconds'])} in all"
    if due is not None:
        found += f"; the next arm in {duration(due)}"
    return found


# -- the parts ------------------------------------------------------------------------------------------


def _shown(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    if len(rows) == 1:
        return []
    kept, at = status_text.without_empty(rows, right)
    return [f"  {line}" for line in status_text.columns(kept, at)]


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [["GLOBAL", "FAMILY", "TYPE", "LABELS", "SERIES", "ELEMENTS", "ROOM", "MEMORY"]]
    for m in metrics:
        family = m["family"] or "(not exported)"
        is_array = m["slots"] is not None
        rows.append(
            [
                m["global"],
                family,
                m["type"],
                ",".join(m["labels"]),
                number(m["series"]) if m["family"] else NOTHING,
                number(m["elements"]) if is_array else NOTHING,
                number(m["slots"]),
                memory(m["memory_bytes"]),
            ]
        )
    return _shown(rows, {4, 5, 6, 7})


def _hooks(hooks: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    rows = [["PROBE", "HOOK", "ATTACHED", "HITS", "HITS/S", "COST", "CPU", "SKIPPED", "MISSED"]]
    rows[0].append("ERRORS")
    for h in hooks:
        count = f"{h['attached']:,} of {h['functions']:,}" if h["functions"] > 1 else ""
        rows.append(
            [
                h["written"] if h["functions"] > 1 else h["probe"],
                h["hook"],
                count or ("yes" if h["attached"] else "no"),
                number(h["hits"]),
                rate(h["hits_per_second"]),
                cost(h["cost_ns"]),
                share(h["cpu_share"]),
                *(number(h[key]) if h[key] else NOTHING for key in ("skipped", "missed", "errors")),
            ]
        )
    lines = _shown(rows, set(range(2, 10)))
    found = lines[:1]
    for line, h in zip(lines[1:], hooks, strict=True):
        found.append(line)
        for sentence in _unattached(h):
            found += [f"  {part}" for part in status_text.indented(sentence, width)]
    return found


def _unattached(hook: Mapping[str, Any]) -> list[str]:
    refused, waiting = hook["refused"], hook["waiting"]
    found = [f"refused: {r['function']}: {r['reason'].lower()}" for r in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        found.append(f"refused: {len(refused) - _SHOWN:,} more")
    if waiting:
        more = f" and {len(waiting) - _SHOWN:,} more" if len(waiting) > _SHOWN else ""
        found.append(f"waits for its module: {', '.join(waiting[:_SHOWN])}{more}")
    return found


def _losses(losses: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [f"{loss['count']:,}", loss["reason"], f"{loss['of']}s: {loss['text']}"]
        for loss in losses
        if loss["count"]
    ]
    return [f"  {line}" for line in status_text.columns(rows, {0})] or ["  none"]


def _errors(errors: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    rows = [
        [f"{duration(now - e['timestamp'])} ago", f"{e['count']:,} times", e["text"], e["probe"]]
        for e in errors
    ]
    return [f"  {line}" for line in status_text.columns(rows)]
