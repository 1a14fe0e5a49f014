# SPDX-License-Identifier: GPL-2.0-or-later
"""How each probe of a script is done: its hook, where its types come from, what a hit is expected to take.

explained(program, kernel, Path("sw_count.ko"))
-> [{"probe": 'kernel.function("vfs_read")', "hook": "ftrace", "types": "BTF of vmlinux",
     "hook_cost": 35, "handler_instructions": 15, "instructions": 50, ...}]

The instructions are an estimate: modbuild/hit_path.py says of what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from compiler.ir import hooks
from compiler.ir import program as p
from compiler.ir.hook_facts import INSTRUCTIONS, KERNEL_FUNCTIONS, facts
from compiler.ir.source import exact
from compiler.ir.walk import roots_of, walk
from compiler.kernel import btf_types
from compiler.kernel.errors import KernelFactError
from compiler.kernel.kernel import Kernel
from compiler.modbuild.hit_path import Code, DisassemblyError, HitPath
from compiler.probes import FAMILIES

_ARGUMENTS = (
    p.Argument | p.ReturnValue | p.Register | p.CallerRegister | p.ThreadPointer | p.EntryValue
)
_MEMORY = p.Deref | p.CharsAt | p.Memory
_OF_FUNCTIONS = hooks.Ftrace | hooks.Kprobe | hooks.Kretprobe | hooks.PairedEntry


def explained(program: p.Program, kernel: Kernel, module: Path) -> list[dict[str, Any]]:
    """One tree for each probe of the module, in its order. `program`: what the module was made from."""
    try:
        code, problem = Code.of(module, kernel.arch), ""
    except DisassemblyError as error:
        code, problem = None, str(error)
    return [
        _probe(i, probe, kernel) | _cost(i, probe, code, problem)
        for i, probe in enumerate(program.probes)
    ]


def _probe(number: int, probe: p.Probe, kernel: Kernel) -> dict[str, Any]:
    hook = probe.hook
    nodes = list(walk(*roots_of(probe)))
    return {
        "probe": exact(probe.point),
        "written": exact(probe.written),
        "hook": hook.word.lower(),
        "mechanism": facts(hook).mechanism,
        "context": facts(hook).context,
        "functions": len(hook.functions) or 1,
        "optional": probe.optional,
        "condition": probe.condition is not None,
        "types": _types(probe, kernel),
        "arguments": sum(isinstance(n, _ARGUMENTS) for n in nodes),
        "memory_reads": sum(isinstance(n, _MEMORY) for n in nodes),
    }


# -- types ----------------------------------------------------------------------------------------------


def _types(probe: p.Probe, kernel: Kernel) -> str:
    """Where the types of the probe's context variables come from, whether or not it uses some."""
    alias = probe.written.partition("(")[0].split(".")[0]
    through = "" if alias in FAMILIES else "the library's alias; "
    return f"{through}{_own_types(probe, kernel)}"


def _own_types(probe: p.Probe, kernel: Kernel) -> str:
    hook = probe.hook
    match hook:
        case _ if isinstance(hook, _OF_FUNCTIONS):
            return _of_functions(hook, kernel)
        case hooks.Tracepoint() | hooks.Netfilter():
            return "BTF of vmlinux"
        case hooks.FileHook() if ".mark(" in probe.point:
            return f"the mark's SDT note in {hook.binary.path}"
        case hooks.FileHook():
            return f"the DWARF of {hook.binary.path}, for what the script names; $arg1 to $arg6 are numbers"
        case _:
            return "none: it has no typed variables"


def _of_functions(hook: hooks.Hook, kernel: Kernel) -> str:
    """A function that BTF does not have has numbers for arguments."""
    names = [name for name, _ in hook.functions] or [hook.symbol]
    found = Counter(_owner(name, kernel) for name in names)
    without = found.pop("", 0)
    owners = ", ".join(f"BTF of {owner}" for owner in sorted(found))
    if not found:
        return "none: BTF does not have the function, and $arg1 to $arg6 are numbers"
    return f"{owners}; {without} of {len(names)} functions have none" if without else owners


def _owner(symbol: str, kernel: Kernel) -> str:
    """vmlinux, or a module that has the function's type; "" if none has."""
    module, _, name = symbol.rpartition(":")
    with suppress(KernelFactError):
        btf = kernel.module_btf(module) if module else kernel.btf
        btf.find(btf_types.Function, name)
        return f"module {module}" if module else "vmlinux"
    return ""


# -- instructions ---------------------------------------------------------------------------------------


def _cost(number: int, probe: p.Probe, code: Code | None, problem: str) -> dict[str, Any]:
    """`instructions` is None if a part of them is not known: the hook's, or those of a function of the
    kernel. `cost_problem`: why nothing is known of the handler."""
    hook = facts(probe.hook)
    tree: dict[str, Any] = {"hook_cost": hook.cost, "hook_cost_unit": hook.unit}
    if code is None:
        return tree | {"handler_instructions": None, "instructions": None, "cost_problem": problem}
    found = _handlers(number, code)
    unknown = {n: c for n, c in found.outside.items() if n not in KERNEL_FUNCTIONS}
    known = sum(c * KERNEL_FUNCTIONS[n] for n, c in found.outside.items() if n not in unknown)
    handler = found.instructions + known
    is_known = hook.unit == INSTRUCTIONS and not unknown
    return tree | {
        "handler_instructions": handler,
        "loops": found.loops,
        "kernel_functions": unknown,
        "instructions": hook.cost + handler if is_known else None,
        "cost_problem": "",
    }


def _handlers(number: int, code: Code) -> HitPath:
    """The path of a hit: of a return probe, that of the entry is part of it."""
    paths = [code.path(n) for n in (f"entry_{number}", f"probe_{number}") if code.has(n)]
    outside: Counter[str] = Counter()
    for path in paths:
        outside.update(path.outside)
    whole: Mapping[str, int] = dict(outside)
    return HitPath(sum(x.instructions for x in paths), whole, sum(x.loops for x in paths))
