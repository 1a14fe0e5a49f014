# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m agent`: the same as the command `stapwatch`."""

from agent.cli.main import main

raise SystemExit(main())
