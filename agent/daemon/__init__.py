# SPDX-License-Identifier: GPL-2.0-or-later
"""The service: reconciles scripts with the configuration, and serves metrics and status.

`service.py` connects the parts, `supervisor.py` reconciles. The HTTP server, the status page, the
notifications to systemd and the agent's own metrics are here. How one script is compiled, loaded and
read belongs in `scripts`; the text of metrics in `exposition`.
"""
