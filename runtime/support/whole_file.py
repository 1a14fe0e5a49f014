# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are replaced as a whole: a reader finds the old one or the new one, and nothing in between.

whole_file.write(Path("/var/lib/stapwatch/labels.json"), b"{}")     what can be made again
whole_file.rewrite(Path("/home/me/vfs.stp"), b"probe begin { }")  what a person has written
"""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Its folder must exist. Nothing is left of a file that could not be written. Raises OSError.

    Nothing is synced: if the machine goes down, the bytes may be lost.
    """
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        work.write_bytes(data)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def rewrite(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Like `write`, and synced. The file keeps its owner and mode; a new one has `mode`, without the umask.

    Other users may write to the folder: they cannot know the name that the file has at first.
    """
    import tempfile

    old = path.stat() if path.exists() else None
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    work = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            if old is not None and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(number, old.st_uid, old.st_gid)
            os.fchmod(number, mode if old is None else old.st_mode & 0o7777)
            file.flush()
            os.fsync(number)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)
