# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard of the agent: states, overhead, losses, reloads and budgets of all scripts, host by host."""

from __future__ import annotations

from typing import Any

from agent.daemon.losses import LOSSES
from agent.dashboards.dashboard import Line, Section, dashboard, notes, targets, topk
from agent.dashboards.panels import Query, lines, number, table
from agent.dashboards.promql import HERE, increase, one_of, over, rate, selector, top

_RELOADED = {1: ("in force", "green"), 0: ("failed", "red")}
_DISABLED = {0: ("no", "green"), 1: ("yes", "orange")}


def agent_dashboard() -> dict[str, Any]:
    return dashboard(
        "agent",
        "stapwatch / agent",
        "Agents and their scripts: states, overhead, losses, reloads and budgets.",
        [_state(), _overhead(), _losses(), _reloads(), _budgets()],
        notes(),
        [*targets("stapwatch_build_info"), topk()],
    )


def _here(name: str, *more: str) -> str:
    return selector(name, HERE, *more)


def _rates(name: str, *labels: str) -> str:
    return over("sum", rate(_here(name)), labels)


def _mean(name: str, *labels: str) -> str:
    """Of a summary."""
    return f"{_rates(f'{name}_sum', *labels)} / ({_rates(f'{name}_count', *labels)} > 0)"


def _state() -> Section:
    numbers = (
        number(
            "Agents",
            "Agents that answer.",
            "none",
            [Query(over("count", _here("stapwatch_build_info")), "agents")],
        ),
        number(
            "Configuration",
            "Whether the last reload of all of them succeeded. What an older configuration has "
            "loaded runs on.",
            "none",
            [Query(over("min", _here("stapwatch_config_last_reload_successful")), "last reload")],
            _RELOADED,
        ),
        number(
            "Switched off",
            "Whether stapwatch=off or /etc/stapwatch/disabled keeps the scripts of one of them "
            "unloaded.",
            "none",
            [Query(over("max", _here("stapwatch_disabled")), "switched off")],
            _DISABLED,
        ),
    )
    states = lines(
        "Scripts by state",
        "Scripts of all chosen hosts, by their state.",
        "none",
        [Query(over("sum", _here("stapwatch_script_state"), ["state"]), "{{state}}")],
        stacked=True,
    )
    scripts = table(
        "Scripts",
        "The scripts that are there now, with the revision of their texts; and on how many of the "
        "chosen hosts.",
        "none",
        Query(
            over(
                "count", _here("stapwatch_script_info"), ["script", "revision", "variant", "state"]
            ),
            "{{script}}",
            True,
        ),
        "hosts",
    )
    return Section("State", (Line(numbers, height=4), Line((states, scripts))))


def _overhead() -> Section:
    cpu, hits = "stapwatch_probe_cpu_seconds_total", "stapwatch_probe_hits_total"
    cost = f"{_rates(cpu, 'script')} / ({_rates(hits, 'script')} > 0)"
    memory = over("sum", _here("stapwatch_script_kernel_memory_bytes"), ["script"])
    upper = (
        lines(
            "CPU time of probes",
            "What the probes of a script take, hooks included, a second, on all chosen hosts "
            "together: 100 % is one "
            "CPU.",
            "percentunit",
            [Query(top(_rates(cpu, "script")), "{{script}}")],
        ),
        lines(
            "Time of a hit",
            "The mean CPU time of one hit, hook included.",
            "s",
            [Query(top(cost), "{{script}}")],
        ),
    )
    lower = (
        lines(
            "Kernel memory",
            "Of the modules, on all chosen hosts together.",
            "bytes",
            [Query(top(memory), "{{script}}")],
            stacked=True,
        ),
        lines(
            "Agents' CPU time",
            "What the agents themselves take, a second: 100 % is one CPU.",
            "percentunit",
            [Query(top(_rates("process_cpu_seconds_total", "instance")), "{{instance}}")],
        ),
        lines(
            "Agents' memory",
            "Resident memory of the agents.",
            "bytes",
            [
                Query(
                    top(over("max", _here("process_resident_memory_bytes"), ["instance"])),
                    "{{instance}}",
                )
            ],
        ),
        lines(
            "Time of a scrape",
            "The mean time that an agent takes for a page of /metrics.",
            "s",
            [Query(top(_mean("stapwatch_scrape_duration_seconds", "instance")), "{{instance}}")],
        ),
    )
    return Section("Overhead", (Line(upper), Line(lower)))


def _losses() -> Section:
    def lost(*, numbers: bool) -> str:
        reasons = one_of("reason", [loss.reason for loss in LOSSES if loss.numbers is numbers])
        return over("sum", rate(_here("stapwatch_lost_total", reasons)), ["script", "reason"])

    incomplete = over("sum", f"1 - {_here('stapwatch_script_complete')}", ["script"])
    left_out = over("sum", _here("stapwatch_script_series_left_out"), ["script"])
    upper = (
        lines(
            "Missing in numbers",
            "What scripts did not count, a second, by reason: docs/losses.md explains each.",
            "cps",
            [Query(top(lost(numbers=True)), "{{script}} {{reason}}")],
            stacked=True,
        ),
        lines(
            "Missing in logs",
            "Records, texts and lines that are not in the log, a second; the series have it all "
            "the same.",
            "cps",
            [Query(top(lost(numbers=False)), "{{script}} {{reason}}")],
            stacked=True,
        ),
    )
    lower = (
        lines(
            "Hosts with incomplete numbers",
            "Hosts on which a script's series miss something since its module was started, or "
            "whose module is not loaded.",
            "none",
            [Query(incomplete, "{{script}}")],
            stacked=True,
        ),
        lines(
            "Full arrays",
            "Updates a second that found an array full, and elements of wrapping arrays that gave "
            "way.",
            "cps",
            [
                Query(
                    top(_rates("stapwatch_script_array_dropped_total", "script", "array")),
                    "{{script}} {{array}} dropped",
                ),
                Query(
                    top(_rates("stapwatch_script_array_replaced_total", "script", "array")),
                    "{{script}} {{array}} replaced",
                ),
            ],
        ),
        lines(
            "Left out of pages",
            "Series over a budget, elements that kept changing while they were read, and counters "
            "below 0, on the last "
            "page.",
            "none",
            [
                Query(left_out, "{{script}} over a budget"),
                Query(
                    over("sum", _here("stapwatch_script_unsettled_elements"), ["script"]),
                    "{{script}} unsettled",
                ),
                Query(over("sum", _here("stapwatch_negative_counters")), "negative"),
            ],
        ),
    )
    return Section("Losses", (Line(upper), Line(lower)))


def _reloads() -> Section:
    loaded = _here("stapwatch_config_last_reload_success_timestamp_seconds")
    panels = (
        lines(
            "Age of the configuration",
            "The time since the last reload that succeeded.",
            "s",
            [Query(top(f"time() - {loaded}"), "{{instance}}")],
        ),
        lines(
            "Compiles and loads",
            "How long the last compile of a script took, and the loading of its module; the most "
            "of all chosen hosts.",
            "s",
            [
                Query(
                    top(over("max", _here("stapwatch_script_compile_seconds"), ["script"])),
                    "{{script}} compile",
                ),
                Query(
                    top(over("max", _here("stapwatch_script_load_seconds"), ["script"])),
                    "{{script}} load",
                ),
            ],
        ),
        lines(
            "Failures",
            "Compiles that failed, in the last hour; globals that are not exported as declared; "
            "probes that could not "
            "be attached.",
            "none",
            [
                Query(
                    top(
                        over(
                            "sum",
                            increase(_here("stapwatch_script_compile_failures_total"), "1h"),
                            ["script"],
                        )
                    ),
                    "{{script}} compile",
                ),
                Query(
                    top(over("sum", _here("stapwatch_script_metric_problems"), ["script"])),
                    "{{script}} metrics",
                ),
                Query(
                    top(over("sum", _here("stapwatch_script_unplaced_probes"), ["script"])),
                    "{{script}} probes",
                ),
            ],
        ),
    )
    return Section("Reloads", (Line(panels),))


def _budgets() -> Section:
    used = over(
        "sum", rate(_here("stapwatch_probe_cpu_seconds_total")), ["job", "instance", "script"]
    )
    budget = over(
        "max", _here("stapwatch_script_cpu_budget_seconds"), ["job", "instance", "script"]
    )
    upper = (
        lines(
            "Part of the CPU budget",
            "What a script takes of its budget `cpu`, on the host where that is most. Above 100 % "
            "it is disarmed "
            "within a second.",
            "percentunit",
            [Query(top(over("max", f"{used} / {budget}", ["script"])), "{{script}}")],
        ),
        lines(
            "Disarms",
            "Disarms in the last hour, by the budget that was breached.",
            "none",
            [
                Query(
                    top(
                        over(
                            "sum",
                            increase(_here("stapwatch_script_disarmed_total"), "1h"),
                            ["script", "budget"],
                        )
                    ),
                    "{{script}} {{budget}}",
                )
            ],
        ),
    )
    lower = (
        lines(
            "Time disarmed",
            "The part of the time for which a script was disarmed, all chosen hosts together.",
            "percentunit",
            [
                Query(
                    top(
                        over(
                            "avg",
                            rate(_here("stapwatch_script_disarmed_seconds_total")),
                            ["script"],
                        )
                    ),
                    "{{script}}",
                )
            ],
        ),
        lines(
            "Series",
            "Series of a script's globals on the host that has most, and those that a budget left "
            "out of its page.",
            "none",
            [
                Query(top(over("max", _here("stapwatch_script_series"), ["script"])), "{{script}}"),
                Query(
                    top(over("max", _here("stapwatch_script_series_left_out"), ["script"])),
                    "{{script}} left out",
                ),
            ],
        ),
        lines(
            "Log lines over the budget",
            "Lines that were dropped because of the budgets of log lines, a second.",
            "cps",
            [
                Query(
                    top(_rates("stapwatch_script_log_lines_dropped_total", "script")), "{{script}}"
                )
            ],
        ),
    )
    return Section("Budgets", (Line(upper), Line(lower)))
