# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's own metric families and the reasons for losses, for stapwatch-metrics(7).

families()[0].name -> "process_cpu_seconds"
"""

from __future__ import annotations

from prometheus_client.core import Metric

from agent.daemon import losses
from agent.daemon.self_metrics import Health, SelfMetrics
from manual.scd import bold, definition, escape, prose


def families() -> list[Metric]:
    """All of them, by name, without samples."""
    metrics = SelfMetrics(Health(), {})
    return sorted(metrics.registry.collect(), key=lambda family: family.name)


def shown_name(family: Metric) -> str:
    """The name of its samples, which of a counter end with _total."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def render(prefix: str) -> str:
    """The families whose names begin so."""
    chosen = [family for family in families() if family.name.startswith(prefix)]
    assert chosen, prefix
    return "\n".join(map(_definition, chosen))


def reasons() -> str:
    """The reasons of stapwatch_lost_total."""
    return "\n".join(
        definition(
            bold(loss.reason),
            prose(f"{_article(loss.of)} {loss.of} {_end(loss.text, loss.numbers)}"),
        )
        for loss in losses.LOSSES
    )


def _article(noun: str) -> str:
    return "An" if noun[0] in "aeou" else "A"


def _end(text: str, numbers: bool) -> str:
    return f"{text}. {'The numbers miss something.' if numbers else 'The numbers are complete.'}"


def _definition(family: Metric) -> str:
    labels = ",".join(getattr(family, "_labelnames", ()))
    braces = escape(f"{{{labels}}}") if labels else ""
    return definition(
        f"{bold(shown_name(family))}{braces} ({family.type})", prose(family.documentation)
    )
