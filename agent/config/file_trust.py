# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells whether other users could change what the agent reads as root.

    refusal(Path("/etc/stapwatch/probes.d/vfs.stp"))
    -> "" or "/etc/stapwatch/probes.d may be written by its group; chmod g-w /etc/stapwatch/probes.d"

A script becomes code in the kernel, so whoever can write one is root. The rule, for the path as given and
for what each of its links leads to, from the root folder down:

- Everything belongs to root, or to the user that the agent runs as.
- No group and no other user may write to it. A folder above with the sticky bit (/tmp) is allowed: nobody
  else can rename or delete there what belongs to root, and the first rule refuses what belongs to others.
- A folder whose files are all read (script folders, conf.d, libraries) is refused if others can add files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

SERVICE_USER = "stapwatch"  # User= of stapwatch.service
_MOST_LINKS = 40  # as the kernel's own limit
_WRITERS = ((stat.S_IWGRP, "its group", "g-w"), (stat.S_IWOTH, "everybody", "o-w"))


def owners() -> frozenset[int]:
    """The users whose files are trusted: root, and the one that the unit's User= names."""
    return frozenset({0, os.geteuid()})


def service_user() -> frozenset[int]:
    """The user that the service's agent runs as, to whom its own folders belong; empty if there is none."""
    import pwd

    try:
        return frozenset({pwd.getpwnam(SERVICE_USER).pw_uid})
    except KeyError:
        return frozenset()


def refusal(path: Path, trusted: frozenset[int] | None = None, *, is_searched: bool = False) -> str:
    """Why a file or folder is not trusted and what to type, or "".

    A path that does not exist is judged by its folders. `is_searched`: a folder whose files are all read.
    """
    trusted = owners() if trusted is None else trusted
    last = None
    try:
        for place, found in _places(path):
            if why := _refused(place, found, trusted):
                return why
            last = place, found
    except OSError as error:
        return f"{path} cannot be checked: {(error.strerror or str(error)).lower()}"
    if is_searched and last is not None and stat.S_ISDIR(last[1].st_mode):
        return _writable(*last)
    return ""


def unreadable(path: Path, error: OSError) -> str:
    """Why a file cannot be read, and what to type if the agent's user may not read it."""
    why = error.strerror or str(error)
    if error.errno not in (errno.EACCES, errno.EPERM) or os.geteuid() == 0:
        return why
    user, place = _user(os.geteuid()), _quoted(path)
    return f"{why} to {user}, the agent's user; chgrp {user} {place} && chmod g+r {place}"


def folder_refusal(
    folder: Path, suffixes: Iterable[str], trusted: frozenset[int] | None = None
) -> str:
    """Like `refusal` for a folder, and for each file in it and below that ends so."""
    if why := refusal(folder, trusted, is_searched=True):
        return why
    for inner, folders, files in os.walk(folder):
        named = [name for name in files if name.endswith(tuple(suffixes))]
        for name in (*folders, *named):
            path = Path(inner, name)
            if why := refusal(path, trusted, is_searched=name in folders):
                return why
    return ""


def _places(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Each folder, link and file on the way to what the path names, with what lstat() says of it."""
    left = list(reversed(Path(path).absolute().parts[1:]))
    at, links = Path("/"), 0
    yield at, at.lstat()
    while left:
        name = left.pop()
        if name == "..":
            at = at.parent  # it was checked on the way here
            continue
        place = at / name
        try:
            found = place.lstat()
        except FileNotFoundError:
            return
        yield place, found
        if not stat.S_ISLNK(found.st_mode):
            at = place
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = place.readlink()
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        at = Path("/") if target.is_absolute() else at


def _refused(place: Path, found: os.stat_result, trusted: frozenset[int]) -> str:
    if found.st_uid not in trusted:
        flag = "-h " if stat.S_ISLNK(found.st_mode) else ""
        return (
            f"{place} belongs to {_user(found.st_uid)}, not to {_names(trusted)}; "
            f"chown {flag}{_user(min(trusted))} {_quoted(place)}"
        )
    if stat.S_ISLNK(found.st_mode):
        return ""  # its mode means nothing, and its folder was checked
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return ""  # nobody reads it: bounded_file names the device or FIFO
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return ""
    return _writable(place, found)


def _writable(place: Path, found: os.stat_result) -> str:
    writers = [(who, change) for bit, who, change in _WRITERS if found.st_mode & bit]
    if not writers:
        return ""
    return (
        f"{place} may be written by {' and '.join(who for who, _ in writers)}; "
        f"chmod {','.join(change for _, change in writers)} {_quoted(place)}"
    )


def _names(users: frozenset[int]) -> str:
    return " or ".join(map(_user, sorted(users)))


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
