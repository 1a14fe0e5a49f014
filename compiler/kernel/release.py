# SPDX-License-Identifier: GPL-2.0-or-later
"""The name of a kernel, as `uname -r` prints it."""

import re
from typing import Final

RELEASE: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}"
)  # it may be a part of a file's name
