# SPDX-License-Identifier: GPL-2.0-or-later
"""Files in /proc that run a handler when they are read or written.

procfs("limit").umask(0027).write
  -> ProbeSite(ProcfsWrite("limit", umask=0o027), $value)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.hooks import ProcfsRead, ProcfsWrite
from compiler.probes.base import (
    Answer,
    Environment,
    ProbePointError,
    ProbeSite,
    number_of,
    spell,
    text_of,
    unexpected,
)

_NAME = "command"  # the file's name if the probe gives none
_OWNERS = -1  # no umask is given: only the owner has access
_MOST_BYTES = 1 << 16
_VALUES = {
    "read": Answer(set="__procfs_set", append="__procfs_append"),
    "write": Answer(read="__procfs_value"),
}


FORMS = tuple(
    f"procfs{name}{umask}.{access}"
    for name in ("", "(string)")
    for umask in ("", ".umask(number)")
    for access in ("read", "read.maxsize(number)", "write")
)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """A file is named by its path below the script's folder in /proc."""
    del environment
    first, *options = components
    name = text_of(first) if first.arg is not None else _NAME
    if not name.strip("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise ProbePointError(
            "bad-probe-argument",
            f"'{name}' is no path below a folder",
            first.span,
            'write names with / between them: procfs("limits/reads")',
        )
    umask, size = _OWNERS, 0
    if options and options[0].name == "umask":
        umask = _option(options.pop(0), 0, 0o777)
    if not options or options[0].name not in _VALUES or options[0].arg is not None:
        raise unexpected(options[0] if options else first, ("read", "write", "umask"))
    access = options.pop(0).name
    if options and options[0].name == "maxsize" and access == "read":
        size = _option(options.pop(0), 1, _MOST_BYTES)
    if options:
        raise unexpected(options[0], ("maxsize",) if access == "read" and not size else ())
    hook = ProcfsRead(name, umask, size) if access == "read" else ProcfsWrite(name, umask)
    return [ProbeSite(hook, spell(components), answers={"value": _VALUES[access]})]


def _option(component: syntax.Component, least: int, most: int) -> int:
    number = number_of(component)
    if not least <= number <= most:
        shown = "0 to 0777" if component.name == "umask" else f"{least} to {most} bytes"
        raise ProbePointError(
            "bad-probe-argument", f"{number} is no {component.name}", component.span, shown
        )
    return number
