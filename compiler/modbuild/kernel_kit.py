# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts that the fast tier needs for one kernel, in the cache; kit_build.py makes them once.

    load(inputs of kernel 6.1, key)     -> Preparation(kit=KernelKit(...), problem="")
    load(inputs of an odd kernel, key)  -> Preparation(kit=None, problem="section .text differs")

If there is a problem, every module of that kernel is built with kbuild. Either outcome is cached.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compiler.modbuild import modversions
from compiler.modbuild.fast_tier import Commands, KernelKit
from compiler.modbuild.request import KernelFacts
from compiler.modbuild.runtime_sources import Sources
from compiler.modbuild.toolchain import Headers, Toolchain
from compiler.support.content_store import Cache, Entry, key_of
from runtime.support.record import record

RECORD = "record.json"


@record
class Preparation:
    """A `kit` or a `problem`, never both. `identity` changes with everything it was made from, the
    compiler included."""

    identity: str
    kit: KernelKit | None
    problem: str
    inputs: tuple[Path, ...]  # the files of this system that it depends on


@record
class KitInputs:
    """Everything that a kernel's kit is made from."""

    kernel: KernelFacts
    headers: Headers
    cache: Cache
    sources: Sources
    toolchain: Toolchain

    @property
    def key(self) -> str:
        """The cache's key for these inputs."""
        symvers = self.headers.folder / "Module.symvers"
        status = symvers.stat() if symvers.exists() else None
        return key_of(
            "kernel",
            self.kernel.release,
            self.kernel.build_id,
            self.headers.seen,
            (self.headers.folder / ".config").read_bytes(),
            f"{status.st_size} {int(status.st_mtime)}" if status else "",
            self.sources.digest,
            self.toolchain.identity("ld"),
        )


def load(inputs: KitInputs, key: str) -> Preparation | None:
    """The preparation under `inputs.key` in the cache; None if there is none for this compiler."""
    entry = inputs.cache.get(key)
    if entry is None:
        return None
    record: dict[str, Any] = json.loads(entry.read(RECORD))
    compiler = inputs.toolchain.identity(record["compiler"])
    if record["compiler_identity"] != compiler:
        if compiler:  # an upgraded compiler needs another kit; a missing one may come back
            inputs.cache.drop(key)
        return None
    identity = key_of(key, entry.read(RECORD))
    tools = (inputs.toolchain.find(tool) for tool in (record["compiler"], "ld"))
    headers = inputs.headers.folder
    files = (*filter(None, tools), headers / ".config", headers / "Module.symvers")
    if record["problem"]:
        return Preparation(identity, None, record["problem"], files)
    kit = make_kit(inputs, entry, _commands(record["commands"]))
    return Preparation(identity, kit, "", files)


def make_kit(inputs: KitInputs, entry: Entry, commands: Commands) -> KernelKit:
    """The kit whose prepared files are in `entry`."""
    exports = modversions.Exports(inputs.headers.folder / "Module.symvers")
    return KernelKit(entry, commands, exports, inputs.toolchain, inputs.kernel.arch)


def _commands(tree: dict[str, Any]) -> Commands:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()}
    return Commands(**values)
