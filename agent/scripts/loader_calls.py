# SPDX-License-Identifier: GPL-2.0-or-later
"""What the loader and its client agree upon, besides the calls themselves (agent/loader/operations.py)."""

from __future__ import annotations

from pathlib import Path

SOCKET = Path("/run/stapwatch-loader.socket")
# The front of a line with a request to compile. Progress and a response of compiler.protocol answer it.
BUILD = b'{"build": '
