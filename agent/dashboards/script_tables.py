# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of scripts: all of a manifest that metrics are planned by, and a file of them.

compiled(settings, scripts, cache)  -> {"vfs": Manifest(...)}, ["error ..."]   for this kernel; builds nothing
read(Path("tables.json"))           -> the same, from a machine that has the kernel's types

Which tables a script has, and of which types, hardly ever depends on the kernel. Where they are in memory
does, and is left out of the file.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.config.settings import ScriptSettings, Settings
from agent.scripts import variants
from agent.scripts.compile_client import CompileError, Compiler
from runtime.abi.manifest import Manifest, Table
from runtime.support.record import replace

_PASS = 3  # the one that makes the manifest


class TablesError(Exception):
    """The file has no tables of scripts; the text says why."""


async def compiled(
    settings: Settings, scripts: Iterable[ScriptSettings], cache: Path
) -> tuple[dict[str, Manifest], list[str]]:
    """The manifests, and what is wrong with scripts that have none."""
    compiler, wanted = Compiler(settings.compile), list(scripts)
    with tempfile.TemporaryDirectory(prefix="stapwatch-") as folder:
        results = await asyncio.gather(
            *(_manifest(compiler, script, settings, cache, Path(folder)) for script in wanted)
        )
    pairs = list(zip(wanted, results, strict=True))
    found = {script.name: result for script, result in pairs if isinstance(result, Manifest)}
    return found, [result for _, result in pairs if isinstance(result, str)]


async def _manifest(
    compiler: Compiler, script: ScriptSettings, settings: Settings, cache: Path, folder: Path
) -> Manifest | str:
    try:
        candidates = [
            replace(
                candidate,
                request=replace(
                    candidate.request,
                    output=str(folder),
                    cache=str(cache),
                    last_pass=_PASS,
                    manifest=True,
                ),
            )
            for candidate in variants.candidates(script, settings)
        ]
        done = await variants.compile_first(compiler, candidates)
    except CompileError as error:
        return "\n".join(map(str, error.diagnostics))
    except OSError as error:
        return f"error: cannot read {error.filename}: {(error.strerror or str(error)).lower()}"
    return Manifest.from_json(done.output)


def text(found: Mapping[str, Manifest]) -> str:
    """The file's text: one line for each script."""
    lines = (f"{json.dumps(name)}: {_plain(found[name]).to_json()}" for name in sorted(found))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(path: Path) -> dict[str, Manifest]:
    """Raises TablesError, OSError."""
    try:
        tree = json.loads(path.read_bytes())
        return {name: Manifest.from_json(json.dumps(one)) for name, one in tree.items()}
    except (ValueError, AttributeError) as error:
        raise TablesError(f"{path} has no tables of scripts: {error}") from error


def _plain(manifest: Manifest) -> Manifest:
    """Without all that depends on the kernel, the release or the place of the script."""
    return Manifest(
        name=manifest.name,
        module="",
        identity="",
        release="",
        build_id="",
        compiler="",
        shared_size=0,
        lane_size=0,
        probe_status=0,
        probe_counts=0,
        lane_counts=0,
        probes=(),
        tables=tuple(map(_placeless, manifest.tables)),
        prints=(),
        errors=(),
    )


def _placeless(table: Table) -> Table:
    slots = table.slots
    if slots is not None:
        slots = replace(slots, head=0, offset=0, stride=0, key_offset=0)
    return replace(
        table,
        rows=0,
        row_size=0,
        slots=slots,
        dropped=None if table.dropped is None else 0,
        replaced=None if table.replaced is None else 0,
        sequence=None,
        lock=None,
        location="",
    )
