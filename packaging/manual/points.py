# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms of probe points and the library's aliases, for stapwatch-probes(7).

forms("timer")    -> ["timer.hz(number)", "timer.jiffies(number)", ...]
system_calls()    -> ["accept", "accept4", ...]
"""

from __future__ import annotations

import re
from functools import cache

from compiler.arch import NAMES
from compiler.driver import tapset_index
from compiler.frontend.preprocessor_conditions import Conditions
from compiler.ir import syntax
from compiler.probes.base import spell
from compiler.probes.forms import FORMS
from manual.functions import joined_comment
from manual.scd import definition, escape, literal, prose

_CALL = re.compile(r"(?:nd_)?syscall\.(\w+)")


def forms(family: str) -> list[str]:
    """Those whose first component is this one."""
    return sorted(form for form in FORMS if re.match(r"\w+", form)[0] == family)  # type: ignore[index]


def render_forms(*families: str) -> str:
    found = [form for family in families for form in forms(family)]
    assert found, families
    return literal("\n".join(found))


@cache
def aliases() -> dict[str, list[str]]:
    """The names of the aliases in each of the library's files, for all architectures."""
    tapset = tapset_index.read()
    found: dict[str, dict[str, None]] = {}
    for arch in NAMES:
        for script in tapset_index.parse_all(tapset, Conditions(kernel_vr="6.1.0", arch=arch)):
            for item in script.items:
                if isinstance(item, syntax.ProbeAlias):
                    known = found.setdefault(script.span.source.name, {})
                    known.update((spell(name.components), None) for name in item.names)
    return {file: list(names) for file, names in found.items()}


def library_aliases() -> dict[str, list[str]]:
    """Those that do not name a single system call."""
    others = {
        file: [name for name in names if not _CALL.match(name)] for file, names in aliases().items()
    }
    return {file: names for file, names in others.items() if names}


def system_calls() -> list[str]:
    """The names X for which there are syscall.X and syscall.X.return."""
    every = (name for names in aliases().values() for name in names)
    calls = {match[1] for name in every if (match := _CALL.match(name))}
    return sorted(calls)


def render_aliases() -> str:
    """What each file is about, and its aliases."""
    tapset = tapset_index.read()
    return "\n".join(
        definition(
            ", ".join(map(escape, _paired(names))), prose(joined_comment(tapset[file].decode()))
        )
        for file, names in library_aliases().items()
    )


def _paired(names: list[str]) -> list[str]:
    """A name and the same with .return as one."""
    pairs = {name for name in names if f"{name}.return" in names}
    return [
        f"{name}[.return]" if name in pairs else name
        for name in names
        if name.removesuffix(".return") not in pairs or name in pairs
    ]


def render_system_calls() -> str:
    return escape(", ".join(system_calls())) + "\n"
