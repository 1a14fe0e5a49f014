# SPDX-License-Identifier: GPL-2.0-or-later
"""Files in /proc that run a handler when they are read or written.

procfs("limit").umask(0027).maxsize(100).write
  -> Site(Hook(PROCFS_WRITE, "limit", number=0o027, randomize=100), $value)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.program import Hook, HookKind
from compiler.probes.base import (
    Answer,
    Environment,
    Refusal,
    Site,
    number_of,
    spell,
    text_of,
    unexpected,
)

_NAME = "command"  # of the file whose probe names none
_OWNERS = -1  # no umask is given: the file is its owner's only
_MOST_BYTES = 1 << 16
_KINDS = {"read": HookKind.PROCFS_READ, "write": HookKind.PROCFS_WRITE}
_VALUES = {
    "read": Answer(set="__procfs_set", append="__procfs_append"),
    "write": Answer(read="__procfs_value"),
}


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    del environment
    first, *options = components
    name = text_of(first) if first.arg is not None else _NAME
    if not name.strip("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise Refusal(
            "bad-probe-argument",
            f"'{name}' is no path below a folder",
            first.span,
            'write names with / between them: procfs("limits/reads")',
        )
    umask, size = _OWNERS, 0
    if options and options[0].name == "umask":
        umask = _option(options.pop(0), 0, 0o777)
    if not options or options[0].name not in _KINDS or options[0].arg is not None:
        raise unexpected(options[0] if options else first, ("read", "write", "umask"))
    way = options.pop(0).name
    if options and options[0].name == "maxsize" and way == "read":
        size = _option(options.pop(0), 1, _MOST_BYTES)
    if options:
        raise unexpected(options[0], ("maxsize",) if way == "read" and not size else ())
    hook = Hook(_KINDS[way], name, number=umask, randomize=size)
    return [Site(hook, spell(components), answers={"value": _VALUES[way]})]


def _option(component: syntax.Component, least: int, most: int) -> int:
    number = number_of(component)
    if not least <= number <= most:
        shown = "0 to 0777" if component.name == "umask" else f"{least} to {most} bytes"
        raise Refusal(
            "bad-probe-argument", f"{number} is no {component.name}", component.span, shown
        )
    return number
