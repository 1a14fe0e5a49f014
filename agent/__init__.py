# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent: serves probe scripts as Prometheus metrics and logs, and the command line.

cli         the subcommands
session     `stapwatch run`: one script in the terminal
daemon      the service: reconciling, HTTP, systemd, the agent's own metrics
scripts     one script: compiling it, its loaded module, its log
exposition  globals to metric families to the text that Prometheus scrapes
config      the configuration files

Imports point down this list. `log_sinks.py` belongs to no room; every room but config may import it.
Every room may import `timeout.py`.
"""
