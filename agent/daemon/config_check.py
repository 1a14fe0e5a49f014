# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks a configuration without an agent: what would a reload report?

    problems, warnings = await check_scripts(settings, cache, folder)
    -> ["script tcp does not compile: /etc/.../tcp.stp:3:1: expected ..."], []

The scripts are compiled, but not loaded: the kernel may still refuse a module.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.config.settings import ScriptSettings, Settings
from agent.daemon import script_reports
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.exposition.families import plan
from agent.scripts import variants
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from runtime.reader.module_memory import manifest_of
from runtime.support.record import replace


async def check_scripts(
    settings: Settings, cache: Path, folder: Path, compiler: Compiler | None = None
) -> tuple[list[str], list[str]]:
    """Compile all enabled scripts into `folder`, and plan their metrics. The problems and warnings."""
    compiler = compiler or Compiler(settings.compile)
    enabled = [script for script in settings.scripts.values() if script.enabled]
    placed = replace(settings, work_folder=folder, cache_folder=cache)
    results = await asyncio.gather(*(_compile(script, placed, compiler) for script in enabled))
    problems = [text for texts, _ in results for text in texts]
    warnings = [
        script_reports.described(warning)
        for _, compiled in results
        if compiled is not None
        for warning in compiled.warnings
    ]
    known = []
    for script, (_, compiled) in zip(enabled, results, strict=True):
        manifest = manifest_of(compiled.path) if compiled is not None else None
        if manifest is not None:
            known.append((script.name, manifest, script.metrics))
    reserved = SelfMetrics(Health(), {}).names()
    _, found = plan(known, reserved)
    problems += [script_reports.problem_text(p.script, p.message) for p in found]
    return problems, warnings


async def _compile(
    script: ScriptSettings, settings: Settings, compiler: Compiler
) -> tuple[tuple[str, ...], Compiled | None]:
    try:
        seen = await asyncio.to_thread(variants.read, script, settings)
        return (), await variants.compile_first(compiler, seen.candidates)
    except OSError as error:
        return (script_reports.unreadable_text(script, error),), None
    except CompileError as error:
        texts = (script_reports.compile_text(script.name, d) for d in error.diagnostics)
        return tuple(texts), None
