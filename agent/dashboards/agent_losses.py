# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections of the agent's dashboard about what is missing: losses, and what budgets leave out."""

from __future__ import annotations

from agent.daemon.losses import LOSSES
from agent.dashboards.dashboard import Line, Section
from agent.dashboards.panels import Query, lines
from agent.dashboards.promql import HERE, increase, one_of, over, rate, selector, top


def losses() -> Section:
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
            "below 0, on the last page.",
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


def budgets() -> Section:
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
            "it is disarmed within a second.",
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


def _here(name: str, *more: str) -> str:
    return selector(name, HERE, *more)


def _rates(name: str, *labels: str) -> str:
    return over("sum", rate(_here(name)), labels)
