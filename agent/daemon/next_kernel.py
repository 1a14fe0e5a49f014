# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the scripts for a kernel that is installed and has not been booted yet.

    await prepare(settings, "6.1.0-57", compiler, records)
      -> PreparedKernel("6.1.0-57", State.READY, scripts=4)

    outdated(settings, compiler_version, records)   -> ["6.1.0-57"]: a script has changed since

The modules are in the cache under the identities that the agent asks for after the reboot: it loads them,
and compiles nothing. Symbol tables exist only in a running kernel, so a script that needs one fails here, and
the agent compiles it after the reboot.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from pathlib import Path

from agent.config.settings import ScriptSettings, Settings
from agent.rollout import host_facts
from agent.rollout.decide import Wanted, decide
from agent.scripts import variants
from agent.scripts.compile_client import CompileError, Compiler
from agent.scripts.prepared_kernels import PreparedKernel, PreparedKernels, State
from runtime.support.record import replace

_NO_HEADERS = "no-headers"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
Failures = dict[str, tuple[str, str]]  # slug and reason, by script


def wanted(settings: Settings, release: str) -> list[ScriptSettings]:
    """The scripts that would be loaded on this host under that kernel, now or later."""
    facts = replace(host_facts.gather(settings.host_labels), kernel=release)
    decisions = decide(settings, facts, time.time())
    return [
        script for name, script in settings.scripts.items() if decisions[name].wanted != Wanted.OFF
    ]


def basis(settings: Settings, release: str, version: str) -> str:
    """A digest of what is prepared for a kernel: scripts, options, and the compiler of this `version`."""
    digest = hashlib.sha256(version.encode())
    for script in sorted(wanted(settings, release), key=lambda script: script.name):
        made_of = "unreadable"
        with contextlib.suppress(OSError):
            made_of = variants.made_of(variants.candidates(script, settings))
        digest.update(f"{script.name} {made_of}\n".encode())
    for part in settings.refused:
        digest.update(f"{part.script} {part.reason}\n".encode())
    for folder in settings.library:
        for path in sorted(folder.rglob("*.stp*")):
            digest.update(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def outdated(settings: Settings, version: str, records: PreparedKernels) -> list[str]:
    """The kernels that were prepared for something else, and are still to be booted. Raises OSError."""
    return [
        kernel.release
        for kernel in records.all()
        if not _is_over(kernel) and kernel.basis != basis(settings, kernel.release, version)
    ]


def ask_again(settings: Settings, version: str) -> None:
    """Have outdated kernels prepared again, by a unit that watches the state folder."""
    records = PreparedKernels(settings.state_folder)
    # a folder that cannot be read or written is told where scripts need it
    with contextlib.suppress(OSError):
        if outdated(settings, version, records):
            records.ask()


def _is_over(kernel: PreparedKernel) -> bool:
    """Whether the kernel has been booted. The same release, prepared since that boot, waits for the next."""
    return kernel.release == os.uname().release and kernel.boot != _boot()


def _boot() -> str:
    return _BOOT.read_text().strip()


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
    # first: what changes meanwhile is not in it
    version = await compiler.version(settings.cache_folder)
    made_of = await asyncio.to_thread(basis, settings, release, version)
    made = await asyncio.gather(
        *(_compile(script, settings, release, compiler, failures) for script in scripts)
    )
    kernel = replace(
        kernel,
        state=_state(failures),
        failed={name: reason for name, (_, reason) in sorted(failures.items())},
        identities=tuple(filter(None, made)),
        basis=made_of,
        boot=_boot(),
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
