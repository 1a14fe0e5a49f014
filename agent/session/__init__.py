# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch run`: one script from its text to its end, in the terminal.

`session.py` orchestrates; `options.py` parses the command line; `compile.py`, `run.py` and `report.py`
are the three parts of a session. `stack_files.py` writes stacks at its end, and `installation.py` makes the
script one of the service's. What only an interactive run needs belongs here; what the service needs as well
belongs in `scripts`.
"""
