# SPDX-License-Identifier: GPL-2.0-or-later
"""The one process that may load modules, for an agent that may not.

agent (no privileges) -> loader (CAP_SYS_MODULE, CAP_SYSLOG) -> compiler (a sandbox for each connection)

It loads what the configuration asks for and nothing else: requests to compile are compared with the files
that belong to root, and modules are loaded from its own folder only.
"""
