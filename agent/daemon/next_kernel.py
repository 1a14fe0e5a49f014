# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the scripts for a kernel that is installed and has not been booted yet.

    await prepare(settings, "6.1.0-57", compiler, records)
      -> PreparedKernel("6.1.0-57", State.READY, scripts=4)

The modules are in the cache under the identities that the agent asks for after the reboot: it loads them,
and compiles nothing. Symbol tables exist only in a running kernel, so a script that needs one fails here, and
the agent compiles it after the reboot.
"""

from __future__ import annotations

import asyncio
import time

from agent.config.settings import ScriptSettings, Settings
from agent.rollout import host_facts
from agent.rollout.decide import Wanted, decide
from agent.scripts import variants
from agent.scripts.compile_client import CompileError, Compiler
from agent.scripts.prepared_kernels import PreparedKernel, PreparedKernels, State
from runtime.support.record import replace

_NO_HEADERS = "no-headers"
Failures = dict[str, tuple[str, str]]  # slug and reason, by script


def wanted(settings: Settings, release: str) -> list[ScriptSettings]:
    """The scripts that would be loaded on this host under that kernel, now or later."""
    facts = replace(host_facts.gather(settings.host_labels), kernel=release)
    decisions = decide(settings, facts, time.time())
    return [
        script for name, script in settings.scripts.items() if decisions[name].wanted != Wanted.OFF
    ]


async def prepare(
    settings: Settings, release: str, compiler: Compiler, records: PreparedKernels
) -> PreparedKernel:
    """Raises OSError if the record cannot be written."""
    scripts = wanted(settings, release)
    failures: Failures = {
        part.script: ("config", part.reason) for part in settings.refused if part.script
    }
    kernel = PreparedKernel(release, State.PREPARING, len(scripts) + len(failures))
    records.save(kernel)
    made = await asyncio.gather(
        *(_compile(script, settings, release, compiler, failures) for script in scripts)
    )
    kernel = replace(
        kernel,
        state=_state(failures),
        failed={name: reason for name, (_, reason) in sorted(failures.items())},
        identities=tuple(filter(None, made)),
    )
    records.save(kernel)
    return kernel


async def forget(
    settings: Settings, release: str, compiler: Compiler, records: PreparedKernels
) -> int:
    """Remove what was prepared for a kernel that is gone. How many modules. Raises OSError."""
    kernel = records.load(release)
    for identity in kernel.identities if kernel is not None else ():
        await compiler.drop(identity, settings.cache_folder)
    records.remove(release)
    return len(kernel.identities) if kernel is not None else 0


def _state(failures: Failures) -> State:
    if not failures:
        return State.READY
    slugs = {slug for slug, _ in failures.values()}
    return State.NO_HEADERS if slugs == {_NO_HEADERS} else State.FAILED


async def _compile(
    script: ScriptSettings, settings: Settings, release: str, compiler: Compiler, failures: Failures
) -> str:
    """The module's identity; "" if there is none, and the reason in `failures`."""
    there = {"root": "/", "release": release}
    try:
        candidates = [
            replace(each, request=replace(each.request, kernel=there, output=None, older=False))
            for each in await asyncio.to_thread(variants.candidates, script, settings)
        ]
        compiled = await variants.compile_first(compiler, candidates)
        return compiled.identity
    except CompileError as error:
        failures[script.name] = (error.diagnostics[0].slug, error.summary)
    except OSError as error:
        failures[script.name] = ("unreadable", f"cannot read {error.filename}: {error.strerror}")
    return ""
