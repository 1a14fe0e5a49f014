# SPDX-License-Identifier: GPL-2.0-or-later
"""Types by the names that scripts give them.

@cast(p, "struct task_struct") -> the id of that struct in the kernel's types
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from compiler.ir import syntax
from compiler.kernel import btf_types
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.errors import KernelFactError
from compiler.kernel.kernel import Kernel, is_module_file, module_name
from compiler.probes import Environment, ProbeSite
from compiler.resolve.memory_path import TargetError
from compiler.support.did_you_mean import did_you_mean


def named_type(environment: Environment, e: syntax.Cast, site: ProbeSite | None = None) -> TypeId:
    """The type that `@cast(..., "name", "module:...")` names: of modules of the kernel, or of programs.

    `site` is the probe's; without a module in the cast the types of its module or program come before the
    kernel's. Raises TargetError, and KernelFactError if a named module has no types.
    """
    kernel = environment.kernel
    owners = [owner.partition("<")[0] for owner in (e.module or "").split(":")]
    named = [owner for owner in owners if owner not in ("", "kernel", "vmlinux")]
    programs = [owner for owner in named if "/" in owner and not is_module_file(owner)]
    named = [owner for owner in named if owner not in programs]
    own = [site.module] if site is not None and site.module and e.module is None else []
    name = " ".join(e.type_name.replace("*", " ").split())
    keyword, _, rest = name.partition(" ")
    kinds: tuple[
        type[
            btf_types.Struct | btf_types.Union | btf_types.Enum | btf_types.Typedef | btf_types.Int
        ],
        ...,
    ]
    match keyword if rest else "":
        case "struct" | "class":
            name, kinds = rest, (btf_types.Struct,)
        case "union":
            name, kinds = rest, (btf_types.Union,)
        case "enum":
            name, kinds = rest, (btf_types.Enum,)
        case _:
            kinds = (
                btf_types.Struct,
                btf_types.Typedef,
                btf_types.Union,
                btf_types.Int,
                btf_types.Enum,
            )
    known: list[Callable[[type[btf_types.Type], str], btf_types.Type | None]] = []
    if e.module is None and site is not None and site.debuginfo is not None:
        known.append(site.debuginfo.type_named)
    known += [_types_of_program(environment, path, e) for path in programs]
    for type_named in known:
        for kind in kinds:
            for spelled in (name, _SPELLED.get(name, name)):
                one = type_named(kind, spelled)
                if one is not None:
                    return one.id
    if programs and len(programs) == len(owners):
        raise TargetError("unknown-type", f"'{programs[0]}' has no type '{e.type_name}'", e.span)
    types = [(owner, kernel.module_btf(owner)) for owner in map(module_name, named)]
    types += _own_types(kernel, own)
    for owner, btf in (*types, ("", kernel.btf)):
        for kind in kinds:
            for spelled in (name, _SPELLED.get(name, name)):
                found = btf.find_all(kind, spelled)
                if found:
                    environment.typed_modules.update(filter(None, (owner,)))
                    return found[0].id
    where = f"module '{named[0]}'" if named else "the kernel"
    nearest = (types[0][1] if types else kernel.btf).names(btf_types.Struct)
    message = f"{where} has no type '{e.type_name}'"
    raise TargetError("unknown-type", message, e.span, did_you_mean(name, nearest))


def _own_types(kernel: Kernel, modules: Sequence[str]) -> list[tuple[str, Btf]]:
    """Those of the probe's module. It may have none: before 5.11 no module has."""
    found = []
    for module in map(module_name, modules):
        with contextlib.suppress(KernelFactError):
            found.append((module, kernel.module_btf(module)))
    return found


def _types_of_program(
    environment: Environment, path: str, e: syntax.Cast
) -> Callable[[type[btf_types.Type], str], btf_types.Type | None]:
    from compiler.probes import program_types  # few scripts name types of programs

    try:
        return program_types.types_of(environment, path)
    except program_types.NoTypes as error:
        raise TargetError("needs-debuginfo", error.message, e.span, error.hint) from error


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
