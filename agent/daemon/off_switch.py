# SPDX-License-Identifier: GPL-2.0-or-later
"""The two switches that keep every module out of the kernel.

    reason()  -> "", or "/etc/stapwatch/disabled exists; remove it, and reload: systemctl reload stapwatch"

`stapwatch=off` on the kernel's command line is for a machine that does not boot otherwise, and holds for
`stapwatch run`, too. The file is the service's only, and is looked at when it starts and when it reloads.
"""

from __future__ import annotations

from pathlib import Path

from runtime.reader.module_loader import switched_off

_FILE = "etc/stapwatch/disabled"


def reason(root: Path = Path("/")) -> str:
    """Why no module is to be loaded, and how to change that; "" if modules may be loaded.

    `root` is the folder that contains etc and proc.
    """
    if why := switched_off(root):
        return why
    file = root / _FILE
    if file.exists() or file.is_symlink():
        return f"{file} exists; remove it, and reload: systemctl reload stapwatch"
    return ""
