# SPDX-License-Identifier: GPL-2.0-or-later
"""Types by the names that scripts give them, and what is wrong with a path into one.

@cast(p, "struct task_struct") -> the id of that struct in the kernel's types
"""

from __future__ import annotations

from compiler import syntax
from compiler.kernel import kinds
from compiler.kernel.btf import Btf
from compiler.kernel.kinds import TypeId
from compiler.kernel.nearby import did_you_mean
from compiler.source import Span


class Fault(Exception):
    """A mistake in a path; `lower_target` reports it."""

    def __init__(self, slug: str, message: str, span: Span, hint: str = "") -> None:
        self.slug, self.message, self.span, self.hint = slug, message, span, hint


def named_type(btf: Btf, e: syntax.Cast) -> TypeId:
    """The type that `@cast(..., "name")` names. Raises Fault."""
    name = " ".join(e.type_name.replace("*", " ").split())
    keyword, _, rest = name.partition(" ")
    wanted: tuple[type[kinds.Struct | kinds.Union | kinds.Enum | kinds.Typedef | kinds.Int], ...]
    match keyword if rest else "":
        case "struct":
            name, wanted = rest, (kinds.Struct,)
        case "union":
            name, wanted = rest, (kinds.Union,)
        case "enum":
            name, wanted = rest, (kinds.Enum,)
        case _:
            wanted = (kinds.Struct, kinds.Typedef, kinds.Union, kinds.Int, kinds.Enum)
    for kind in wanted:
        for spelled in (name, _SPELLED.get(name, name)):
            found = btf.find_all(kind, spelled)
            if found:
                return found[0].id
    raise Fault(
        "unknown-type",
        f"the kernel has no type '{e.type_name}'",
        e.span,
        did_you_mean(name, btf.names(kinds.Struct)),
    )


# Integers as compilers spell them in type information.
_SPELLED = {
    "unsigned": "unsigned int",
    "long": "long int",
    "unsigned long": "long unsigned int",
    "short": "short int",
    "unsigned short": "short unsigned int",
    "long long": "long long int",
    "unsigned long long": "long long unsigned int",
}
