# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m tests.system.reliability --update      does all faults, and writes docs/reliability.md: read the diff"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    if sys.argv[1:2] != ["--update"]:
        sys.exit(__doc__)
    os.environ["RELIABILITY_UPDATE"] = "1"
    sys.exit(pytest.main([str(Path(__file__).parent), *sys.argv[2:]]))
