# SPDX-License-Identifier: GPL-2.0-or-later
"""The service: reconciles scripts with the configuration, and serves metrics and status.

`service.py` connects the parts, `supervisor.py` reconciles, `loading.py` loads, and `arming.py` says which
scripts are armed. The status page, the notifications to systemd, the budgets of all scripts and the agent's
own metrics are here. How one script is compiled, loaded and read belongs in `scripts`; the text of metrics in
`exposition`; HTTP, TLS and listening in `web`.
"""
