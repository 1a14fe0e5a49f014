# SPDX-License-Identifier: GPL-2.0-or-later
"""What the loader's unit has of an environment, as far as modules depend on it.

with service_environment():
    ...   # a script's programs are looked up as the service of a host would

A script that names a program without its folder means the one that $PATH finds, so the path is a part of the
module's identity. The units have the same (systemd/stapwatch-loader.service), since systemd's own default
differs between its releases.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FOLDER = "/"


@contextlib.contextmanager
def service_environment() -> Iterator[None]:
    """For this process and the children that it starts meanwhile."""
    before = os.environ.get("PATH")
    folder = Path.cwd()
    os.chdir(FOLDER)
    os.environ["PATH"] = PATH
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before
        with contextlib.suppress(
            OSError
        ):  # a folder that this user may not enter, as after runuser
            os.chdir(folder)
