# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard of a fleet: which host runs what, how far a rollout is, kernels, and stores of modules.

docs/fleet.md has the same queries for who types them; a test compares both.
"""

from __future__ import annotations

from typing import Any

from agent.dashboards.dashboard import Line, Section, dashboard, notes, targets, topk, values_of
from agent.dashboards.panels import Query, lines, number, table
from agent.dashboards.promql import HERE, increase, over, rate, selector, top

_SCRIPT = 'script=~"$script"'
_ILL = 'state=~"failed|outdated|disarmed|quarantined"'


def fleet_dashboard() -> dict[str, Any]:
    return dashboard(
        "fleet",
        "stapwatch / fleet",
        "All hosts: scripts by revision and state, rollouts, kernels and stores of modules.",
        [_hosts(), _rollout(), _health(), _kernels(), _stores()],
        [note for note in notes() if note.name == "New revisions"],
        [
            *targets("stapwatch_build_info"),
            values_of("script", "Script", "stapwatch_script_info", 'job=~"$job"'),
            topk(),
        ],
    )


def _here(name: str, *more: str) -> str:
    return selector(name, HERE, *more)


def _info(*more: str) -> str:
    return _here("stapwatch_script_info", _SCRIPT, *more)


def _hosts() -> Section:
    hosts = _here("stapwatch_host_info")
    panels = (
        number(
            "Hosts", "Hosts whose agents answer.", "none", [Query(over("count", hosts), "hosts")]
        ),
        table(
            "Versions",
            "The versions of the agents, and on how many hosts they are.",
            "none",
            Query(over("count", _here("stapwatch_build_info"), ["version"]), "{{version}}", True),
            "hosts",
        ),
        table(
            "Systems",
            "The operating systems of the hosts.",
            "none",
            Query(
                over("count", hosts, ["os", "os_version", "arch", "virtualization"]), "{{os}}", True
            ),
            "hosts",
        ),
    )
    return Section("Hosts", (Line(panels, (4, 8, 12), 6),))


def _rollout() -> Section:
    states = lines(
        "Hosts by revision and state",
        "How many hosts have which revision of the chosen scripts in which state. off: the "
        "configuration does not want it there.",
        "none",
        [Query(over("count", _info(), ["revision", "state"]), "{{revision}} {{state}}")],
        stacked=True,
    )
    now = table(
        "Scripts",
        "The same of each script and variant, now.",
        "none",
        Query(
            over("count", _info(), ["script", "revision", "variant", "state"]), "{{script}}", True
        ),
        "hosts",
    )
    run = over("count", _info('state="running"'), ["script", "revision"])
    whole = over("count", _info(), ["script"])
    progress = lines(
        "Progress",
        "The part of all hosts that runs a revision.",
        "percentunit",
        [Query(f"{run} / on (script) group_left () {whole}", "{{script}} {{revision}}")],
    )
    ill = over("count", _info(_ILL), ["script", "revision", "state"])
    broken = lines(
        "Hosts that it breaks",
        "Hosts on which a revision failed, was disarmed or is quarantined. Nothing: there are "
        "none.",
        "none",
        [Query(ill, "{{script}} {{revision}} {{state}}")],
        stacked=True,
    )
    return Section("Rollouts", (Line((states, now)), Line((progress, broken))))


def _health() -> Section:
    def rates(name: str, *labels: str) -> str:
        return over("sum", rate(_here(name, _SCRIPT)), labels)

    disarmed = increase(_here("stapwatch_script_disarmed_total", _SCRIPT), "1h")
    panels = (
        lines(
            "Overhead",
            "CPU time of the probes a second, all hosts together: 100 % is one CPU.",
            "percentunit",
            [Query(top(rates("stapwatch_probe_cpu_seconds_total", "script")), "{{script}}")],
        ),
        lines(
            "Losses",
            "What scripts have lost, a second, by reason: docs/losses.md explains each.",
            "cps",
            [
                Query(
                    top(rates("stapwatch_lost_total", "script", "reason")), "{{script}} {{reason}}"
                )
            ],
            stacked=True,
        ),
        lines(
            "Disarms",
            "Disarms in the last hour, by the budget that was breached. Nothing: there were none.",
            "none",
            [Query(f"{over('sum', disarmed, ['script', 'budget'])} > 0", "{{script}} {{budget}}")],
            stacked=True,
        ),
    )
    return Section("Health", (Line(panels),))


def _kernels() -> Section:
    panels = (
        table(
            "Kernels",
            "The kernels that hosts run. Modules are of one build-id.",
            "none",
            Query(
                over("count", _here("stapwatch_kernel_info"), ["release", "build_id", "arch"]),
                "{{release}}",
                True,
            ),
            "hosts",
        ),
        lines(
            "Prepared kernels",
            "Kernels that are installed and not booted yet, by whether scripts are ready for "
            "them. Nothing: there are none.",
            "none",
            [
                Query(
                    over("count", _here("stapwatch_prepared_kernel"), ["release", "state"]),
                    "{{release}} {{state}}",
                )
            ],
            stacked=True,
        ),
        table(
            "Scripts that fail for one",
            "Scripts that do not compile for a kernel that is installed and not booted yet.",
            "none",
            Query(
                over(
                    "count", _here("stapwatch_prepared_kernel_script_failed"), ["release", "script"]
                ),
                "{{release}} {{script}}",
                True,
            ),
            "hosts",
        ),
    )
    return Section("Kernels", (Line(panels),))


def _stores() -> Section:
    state = over("count", f"{_here('stapwatch_store_state')} == 1", ["store", "state"])
    success = _here("stapwatch_store_last_success_timestamp_seconds")
    refused = increase(_here("stapwatch_store_refused_total"), "1h")
    panels = (
        lines(
            "Hosts by state of a store",
            "How hosts found the stores of modules at their last look. Nothing: no host has a "
            "store.",
            "none",
            [Query(state, "{{store}} {{state}}")],
            stacked=True,
        ),
        lines(
            "Age of the last look",
            "The time since the last look at a store that succeeded, on the host where it is "
            "longest.",
            "s",
            [Query(over("max", f"time() - {success}", ["store"]), "{{store}}")],
        ),
        lines(
            "Refused",
            "Catalogues and modules that were refused in the last hour, by reason.",
            "none",
            [Query(over("sum", refused, ["store", "reason"]), "{{store}} {{reason}}")],
            stacked=True,
        ),
    )
    return Section("Stores of modules", (Line(panels),))
