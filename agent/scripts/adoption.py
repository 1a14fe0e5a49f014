# SPDX-License-Identifier: GPL-2.0-or-later
"""May a module that is loaded go on? It may have been compiled by another release, or for another text.

goes_on(orphan, script)  -> False: it must be loaded anew
await current(script, seen, compiler)  -> the name of the variant that it is; None: it must be replaced
fault(module)  -> "" or "module sw_vfs_1a2b3c4d: it was compiled by stapwatch 0.4.1, whose runtime ..."
older(module, "0.2.0+1a2b3c4d5e6f")  -> True: another compiler has made it
"""

from __future__ import annotations

from agent.scripts.compile_client import Compiler
from agent.scripts.script import LoadedModule, Script
from agent.scripts.variants import Seen
from runtime.abi.structs import State


async def current(script: Script, seen: Seen, compiler: Compiler) -> str | None:
    """The variant of the module that runs, if that does what is asked for; "" for a script without variants.

    An adopted module has no fingerprint yet. Then its identity tells, whoever has compiled it, and whether
    or not it is in the cache.
    """
    if script.module is None:
        return None
    if script.fingerprint:
        return script.variant if script.fingerprint == seen.fingerprint else None
    identity = script.module.manifest.identity
    for name, part in seen.parts:  # another agent has found out which variant compiles
        if await compiler.identity(part.request) == identity:
            return name
    return None


def goes_on(orphan: LoadedModule, script: Script) -> bool:
    """May it be the script's next version as it is? Its agent was killed in the middle of a swap, or before.

    If its start was killed, its begin probes may have run, and no other. If the version before it counts as
    well, both have counted the same events: it begins anew, and nothing counts twice.
    """
    if not orphan.started_ns:
        return orphan.state is State.LOADED
    return script.module is None or not script.module.counts


def fault(module: LoadedModule) -> str:
    """Why the module must not go on running."""
    from compiler.driver import unsafe_runtimes

    why = unsafe_runtimes.reason(module.manifest.compiler)
    return f"module {module.name}: {why}" if why else ""


def older(module: LoadedModule, compiler: str) -> bool:
    """`compiler`: the one that compiles now; "" if that is not known."""
    return bool(compiler) and module.manifest.compiler != compiler
