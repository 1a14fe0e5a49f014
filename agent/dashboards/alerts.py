# SPDX-License-Identifier: GPL-2.0-or-later
"""The alerts about the agent and its scripts. docs/alerts.md has a section for each, with what to do.

rule(ALERTS[0], "docs/alerts.md")
-> {"alert": "StapwatchScriptFailed", "expr": ..., "for": "5m", "labels": {"severity": "warning"}, ...}

Counters are there with 0 before something is lost, so increase() sees the first loss.
"""

from __future__ import annotations

from typing import Any

from agent.config.settings import Severity
from agent.daemon.losses import LOSSES
from agent.dashboards.promql import increase, one_of, over, rate, selector
from agent.scripts.rearming import PAUSED, REQUEST
from runtime.support.record import record

_SCRIPT = ("job", "instance", "script")
# They have alerts of their own, which say more; or are what `when_full` asks for.
_NOT_HERE = ("array_full", "series", "disarmed", "array_replaced")
_NUMBERS = [x.reason for x in LOSSES if x.numbers and x.reason not in _NOT_HERE]
_OUTPUT = [x.reason for x in LOSSES if not x.numbers]
# What a person or the configuration wants is no breach.
_BREACHES = f'stapwatch_script_disarmed_total{{budget!~"{REQUEST}|{PAUSED}"}}'
_ILL = 'state=~"failed|outdated|disarmed|quarantined"'
_OFF = 'state!="off"'


@record
class Alert:
    """`wait`: how long it must hold, as Prometheus writes it. Texts are Prometheus' templates."""

    name: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    description: str
    runbook: str = ""  # if it is not a section of ours


def rule(alert: Alert, runbooks: str, anchor: str = "") -> dict[str, Any]:
    """`runbooks`: what stands in front of the section's name. `anchor`: if that is another one."""
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.wait,
        "labels": {"severity": alert.severity.value},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": alert.runbook or f"{runbooks}#{anchor or alert.name.lower()}",
        },
    }


def _state(states: str) -> str:
    found = selector("stapwatch_script_state", one_of("state", [states]))
    return f"{over('max', found, (*_SCRIPT, 'state'))} == 1"


def _grew(counter: str, window: str, *labels: str) -> str:
    return f"{over('sum', increase(counter, window), labels)} > 0"


def _lost(reasons: list[str]) -> str:
    lost = selector("stapwatch_lost_total", one_of("reason", reasons))
    return _grew(lost, "15m", *_SCRIPT, "reason")


def _hosts(*matchers: str) -> str:
    return over(
        "count", selector("stapwatch_script_info", *matchers), ("job", "script", "revision")
    )


_WHERE = "script {{ $labels.script }} on {{ $labels.instance }}"

ALERTS = (
    Alert(
        "StapwatchScriptFailed",
        _state("failed|outdated"),
        "5m",
        Severity.WARNING,
        f"{_WHERE} is {{{{ $labels.state }}}}",
        "It does not compile or load, or it has ended with an error. outdated: its last good "
        "version runs on.",
    ),
    Alert(
        "StapwatchScriptQuarantined",
        _state("quarantined"),
        "0m",
        Severity.WARNING,
        f"{_WHERE} is quarantined",
        "It went over a budget again and again, or the machine went down while it ran. It stays "
        "disarmed until its text changes or somebody arms it.",
    ),
    Alert(
        "StapwatchScriptDisarmed",
        _grew(_BREACHES, "1h", *_SCRIPT, "budget"),
        "0m",
        Severity.WARNING,
        f"{_WHERE} was disarmed: {{{{ $labels.budget }}}}",
        "It was disarmed {{ $value | humanize }} times in the last hour. Its values stay and are "
        "served; hits while it is disarmed are counted nowhere.",
    ),
    Alert(
        "StapwatchOverheadNearBudget",
        f"{over('sum', rate('stapwatch_probe_cpu_seconds_total', '5m'), _SCRIPT)}"
        f" > 0.8 * {over('max', 'stapwatch_script_cpu_budget_seconds', _SCRIPT)}",
        "10m",
        Severity.WARNING,
        f"{_WHERE} takes more than 80 % of its CPU budget",
        "Its probes take {{ $value | humanize }} s of CPU time a second. Over the budget it is "
        "disarmed.",
    ),
    Alert(
        "StapwatchNumbersIncomplete",
        _lost(_NUMBERS),
        "0m",
        Severity.WARNING,
        f"{_WHERE} has not counted all: {{{{ $labels.reason }}}}",
        "It has lost {{ $value | humanize }} in the last 15 minutes, so its series are too small "
        "by some of that.",
    ),
    Alert(
        "StapwatchProbesNotAttached",
        "stapwatch_script_unplaced_probes > 0",
        "5m",
        Severity.WARNING,
        f"{_WHERE} has probes that are not attached",
        "{{ $value }} functions could not be probed. Nobody can count what their probes would "
        "have seen.",
    ),
    Alert(
        "StapwatchArrayFull",
        _grew("stapwatch_script_array_dropped_total", "15m", *_SCRIPT, "array"),
        "0m",
        Severity.WARNING,
        f"array {{{{ $labels.array }}}} of {_WHERE} is full",
        "It has lost {{ $value | humanize }} updates with new keys in the last 15 minutes. Known "
        "keys are counted on.",
    ),
    Alert(
        "StapwatchSeriesLeftOut",
        "stapwatch_script_series_left_out > 0",
        "5m",
        Severity.WARNING,
        f"{_WHERE} has more series than its budget",
        "{{ $value }} of its series, the newest ones, are not on the page.",
    ),
    Alert(
        "StapwatchOutputLost",
        _lost(_OUTPUT),
        "5m",
        Severity.WARNING,
        f"{_WHERE} loses what it prints: {{{{ $labels.reason }}}}",
        "{{ $value | humanize }} of its records, texts or lines are not in the log. Its series "
        "are complete.",
    ),
    Alert(
        "StapwatchReloadFailed",
        "stapwatch_config_last_reload_successful == 0",
        "5m",
        Severity.WARNING,
        "the configuration of {{ $labels.instance }} is not in force",
        "The last reload failed, and all that could not be applied is as it was before.",
    ),
    Alert(
        "StapwatchAgentDown",
        "up == 0 and on (job, instance) count by (job, instance) "
        "(last_over_time(stapwatch_script_kernel_memory_bytes[1d]))",
        "5m",
        Severity.CRITICAL,
        "the agent of {{ $labels.instance }} does not answer, and its modules may still be loaded",
        "It had modules in the kernel within the last day. Whether they are there now only the "
        "host can tell: a crash leaves them loaded, and a full stop unloads them.",
    ),
    Alert(
        "StapwatchStateNotWritable",
        "stapwatch_state_folder_writable == 0",
        "15m",
        Severity.WARNING,
        "the agent of {{ $labels.instance }} cannot write its state folder",
        "It does not remember which scripts were quarantined or were running when the machine "
        "went down.",
    ),
    Alert(
        "StapwatchNextKernelNotReady",
        'stapwatch_prepared_kernel{state!="ready"} == 1',
        "1h",
        Severity.WARNING,
        "kernel {{ $labels.release }} of {{ $labels.instance }} is {{ $labels.state }} for its "
        "scripts",
        "It is installed and will be booted next. Some scripts would not run there.",
    ),
    Alert(
        "StapwatchRolloutStalled",
        f"{over('count', _hosts(_OFF), ('job', 'script'))} > 1",
        "6h",
        Severity.WARNING,
        "hosts run {{ $value }} revisions of script {{ $labels.script }}",
        "For six hours the fleet has had more than one: some hosts did not get the files, or did "
        "not reload.",
    ),
    Alert(
        "StapwatchRolloutBreaksHosts",
        f"{_hosts(_ILL)} / {_hosts(_OFF)} > 0.05 and {_hosts(_ILL)} > 1",
        "2m",
        Severity.CRITICAL,
        "revision {{ $labels.revision }} of script {{ $labels.script }} breaks hosts",
        "It has failed, was disarmed or is quarantined on {{ $value | humanizePercentage }} of "
        "the hosts that should run it.",
    ),
    Alert(
        "StapwatchStoreRefused",
        'stapwatch_store_state{state="refused"} == 1 or '
        + _grew("stapwatch_store_refused_total", "1h", "job", "instance", "store", "reason"),
        "0m",
        Severity.CRITICAL,
        "{{ $labels.instance }} refuses store {{ $labels.store }}",
        "Somebody has changed it, or it was signed with another key. Nothing that was refused is "
        "loaded.",
    ),
    Alert(
        "StapwatchStoreStale",
        "time() - stapwatch_store_last_success_timestamp_seconds > 6 * 3600",
        "15m",
        Severity.WARNING,
        "{{ $labels.instance }} has not read store {{ $labels.store }} for {{ $value | "
        "humanizeDuration }}",
        "Its timer does not run, or the store is not available. What was fetched before goes on "
        "being used.",
    ),
)
