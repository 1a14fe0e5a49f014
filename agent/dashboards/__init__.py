# SPDX-License-Identifier: GPL-2.0-or-later
"""Grafana dashboards, and rules for Prometheus, made of what scripts export and of the agent's own metrics.

May enter: what `stapwatch dashboards` writes. It is made of manifests and settings, without a running agent,
by functions that make dicts, and without a library of Grafana's.
"""

RUNBOOKS = "docs/alerts.md"  # where the sections about alerts are
