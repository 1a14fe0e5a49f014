# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are replaced as a whole: a reader finds the old one or the new one, and nothing in between.

    whole_file.write(Path("/var/lib/stapwatch/labels.json"), b"{}")

Nothing is synced: if the machine goes down, the bytes may be lost.
"""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Its folder must exist. Nothing is left of a file that could not be written. Raises OSError."""
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        work.write_bytes(data)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)
