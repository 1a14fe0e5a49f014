# SPDX-License-Identifier: GPL-2.0-or-later
"""The jsonnet around dashboards and rules, laid out as Prometheus' mixins are: it imports what was made.

files(["stapwatch-agent.json"], "docs/alerts.md")["mixin.libsonnet"]  -> "(import 'config.libsonnet') + ..."
"""

from __future__ import annotations

from collections.abc import Iterable

ALERTS = "alerts/stapwatch.json"
RULES = "rules/stapwatch.json"
DASHBOARDS = "dashboards"

_MIXIN = """\
(import 'config.libsonnet') +
(import 'alerts/alerts.libsonnet') +
(import 'dashboards/dashboards.libsonnet') +
(import 'rules/rules.libsonnet')
"""
_CONFIG = """\
{
  _config+:: {
    // What stands in front of the section of an alert in its runbook_url.
    runbooks: '%s',
  },
}
"""
_ALERTS = """\
{
  local made = import 'stapwatch.json',
  local config = $._config,
  local with_runbook(rule) = rule {
    annotations+: {
      runbook_url: config.runbooks + '#' + std.split(rule.annotations.runbook_url, '#')[1],
    },
  },
  prometheusAlerts+:: {
    groups+: [group { rules: std.map(with_runbook, group.rules) } for group in made.groups],
  },
}
"""
_RULES = """\
{
  prometheusRules+:: {
    groups+: (import 'stapwatch.json').groups,
  },
}
"""


def files(dashboards: Iterable[str], runbooks: str) -> dict[str, str]:
    """By path. `dashboards`: the names of the files of dashboards."""
    imports = "".join(f"    '{name}': import '{name}',\n" for name in sorted(dashboards))
    return {
        "mixin.libsonnet": _MIXIN,
        "config.libsonnet": _CONFIG % runbooks.replace("\\", "\\\\").replace("'", "\\'"),
        "alerts/alerts.libsonnet": _ALERTS,
        "rules/rules.libsonnet": _RULES,
        "dashboards/dashboards.libsonnet": f"{{\n  grafanaDashboards+:: {{\n{imports}  }},\n}}\n",
        "alerts.jsonnet": _manifested("prometheusAlerts"),
        "rules.jsonnet": _manifested("prometheusRules"),
        "dashboards.jsonnet": "(import 'mixin.libsonnet').grafanaDashboards\n",
    }


def _manifested(name: str) -> str:
    return f"std.manifestYamlDoc((import 'mixin.libsonnet').{name})\n"
