# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that runs a module in a new interpreter, as `python -P -m`, which Python 3.10 does not know.

    command("compiler", "-S")  -> ("/usr/bin/python3", "-P", "-S", "-m", "compiler")

With `-m` alone, the folder where the command was started comes first when a module is looked for: root would
run a file that somebody left there.
"""

from __future__ import annotations

import sys

_RUN = "import sys; del sys.path[0]; import runpy; runpy.run_module({!r}, None, '__main__', True)"


def command(module: str, *options: str) -> tuple[str, ...]:
    """`options`: of the interpreter. The module's own arguments follow the command."""
    if sys.version_info >= (3, 11):
        return (sys.executable, "-P", *options, "-m", module)
    return (sys.executable, *options, "-c", _RUN.format(module))
