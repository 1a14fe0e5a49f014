# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard of the agent: states, overhead, losses, reloads and budgets of all scripts, host by host."""

from __future__ import annotations

from typing import Any

from agent.dashboards.agent_losses import budgets, losses
from agent.dashboards.dashboard import Line, Section, dashboard, notes, targets, topk
from agent.dashboards.panels import Query, lines, number, table
from agent.dashboards.promql import HERE, increase, over, rate, selector, top

_RELOADED = {1: ("in force", "green"), 0: ("failed", "red")}
_DISABLED = {0: ("no", "green"), 1: ("yes", "orange")}


def agent_dashboard() -> dict[str, Any]:
    return dashboard(
        "agent",
        "stapwatch / agent",
        "Agents and their scripts: states, overhead, losses, reloads and budgets.",
        [_state(), _overhead(), losses(), _reloads(), budgets()],
        notes(),
        [*targets("stapwatch_build_info"), topk()],
    )


def _here(name: str, *more: str) -> str:
    return selector(name, HERE, *more)


def _rates(name: str, *labels: str) -> str:
    return over("sum", rate(_here(name)), labels)


def _mean(name: str, *labels: str) -> str:
    """The mean of a summary's observations."""
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
            "together: 100 % is one CPU.",
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
            "probes that could not be attached.",
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
