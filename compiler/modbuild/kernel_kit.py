# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done once for each kernel: build a stub with kbuild, keep its parts, compare.

    prepare(..., kernel 6.1) -> Preparation(kit=Kit(...), problem="")
    prepare(..., odd kernel) -> Preparation(kit=None, problem="section .text has other contents")

With a problem, every module of that kernel goes through kbuild. Either outcome is cached.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compiler.modbuild import fast_tier, kbuild_tier, modversions
from compiler.modbuild.errors import BuildError
from compiler.modbuild.fast_tier import STUB, Kit
from compiler.modbuild.kbuild_commands import HERE, Commands, Unlearnable, learn
from compiler.modbuild.request import BuildInput, KernelFacts
from compiler.modbuild.runtime_sources import Sources
from compiler.modbuild.toolchain import Toolchain
from compiler.support.content_store import Cache, Entry, key_of
from compiler.support.elf import Elf
from runtime.support.record import asdict, record

_RECORD = "record.json"
_EXTENDED = "__version_ext_names"  # checksums in a newer form


@record
class Preparation:
    """`kit` or a `problem`, never both. `identity` names all of it, the compiler too."""

    identity: str
    kit: Kit | None
    problem: str
    inputs: tuple[Path, ...]  # files of this system that it depends on


@record
class Workshop:
    """Everything that a preparation is made from."""

    kernel: KernelFacts
    headers: kbuild_tier.Headers
    cache: Cache
    sources: Sources
    toolchain: Toolchain

    @property
    def key(self) -> str:
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


def prepare(shop: Workshop, progress: Callable[[str], None]) -> Preparation:
    """Find the preparation in the cache, or make it: about 3 s of work. Raises BuildError."""
    key = shop.key
    found = _load(shop, key)
    if found is None:
        with shop.cache.locked(f"kernel-{key[:16]}"):
            found = _load(shop, key)  # another process may have made it meanwhile
            if found is None:
                progress(f"preparing for kernel {shop.kernel.release}, once")
                _make(shop, key)
                found = _load(shop, key)
                if found is None:
                    raise BuildError("unsafe-cache", f"the cache {shop.cache.root} loses entries")
    return found


def _load(shop: Workshop, key: str) -> Preparation | None:
    entry = shop.cache.get(key)
    if entry is None:
        return None
    record: dict[str, Any] = json.loads(entry.read(_RECORD))
    compiler = shop.toolchain.identity(record["compiler"])
    if record["compiler_identity"] != compiler:
        if compiler:  # it was upgraded; one that is missing may come back
            shop.cache.drop(key)
        return None
    identity = key_of(key, entry.read(_RECORD))
    tools = (shop.toolchain.find(tool) for tool in (record["compiler"], "ld"))
    headers = shop.headers.folder
    inputs = (*filter(None, tools), headers / ".config", headers / "Module.symvers")
    if record["problem"]:
        return Preparation(identity, None, record["problem"], inputs)
    return Preparation(identity, _kit(shop, entry, _commands(record["commands"])), "", inputs)


def _make(shop: Workshop, key: str) -> None:
    """Build the stub in both ways and store what came out."""
    with shop.cache.workplace() as work:
        slow = work / "slow"
        slow.mkdir()
        stub = BuildInput(
            module=STUB,
            c_text=shop.sources.files["template/stub.c"].decode(),
            manifest='{"stub":"of the fast tier"}',
            kernel=shop.kernel,
        )
        from compiler.modbuild import target_header

        kbuild_tier.lay_out(slow, shop.sources, target_header.header(shop.kernel.btf), stub)
        output = kbuild_tier.make(slow, shop.headers, shop.toolchain, stub, verbose=True).output
        files: dict[str, bytes | Path] = {}
        commands = None
        try:
            commands = learn(slow, shop.toolchain.path(slow), STUB, output)
            files = _parts(shop, slow, commands)
            problem = _compare(shop, _kit(shop, _entry(work, files), commands), stub, slow)
        except Unlearnable as error:
            problem = str(error)
        compiler = commands.compiler if commands else ""
        record = {
            "commands": asdict(commands) if commands else None,
            "compiler": compiler,
            "compiler_identity": shop.toolchain.identity(compiler),
            "problem": problem,
        }
        shop.cache.put(key, {**files, _RECORD: json.dumps(record).encode()})


def _parts(shop: Workshop, slow: Path, commands: Commands) -> dict[str, bytes | Path]:
    """The objects and headers that every script's build needs, by their names in the entry."""
    parts: dict[str, bytes | Path] = {
        "runtime.o": _runtime(shop, slow, commands),
        "manifest.o": slow / "manifest.o",
        "module.o": slow / f"{STUB}.mod.o",
    }
    if Elf((slow / f"{STUB}.mod.o").read_bytes()).contents(_EXTENDED):
        raise Unlearnable("checksums of kernel symbols have a newer form")
    for name in commands.common:
        path = Path(name.replace(HERE, str(slow)))
        parts[f"common/{path.name}"] = path if path.is_absolute() else slow / path
    for path in (slow / "include").rglob("*.h"):
        parts[str(path.relative_to(slow))] = path
    return parts


def _runtime(shop: Workshop, slow: Path, commands: Commands) -> Path:
    """All the runtime's objects as one, in the order in which kbuild linked them."""
    seen = shop.toolchain.path(slow)
    listed = (slow / f"{STUB}.mod").read_text().split()
    objects = [word.removeprefix(f"{seen}/") for word in listed]
    objects = [name for name in objects if name not in ("script.o", "manifest.o")]
    if len(objects) == 1:
        return slow / objects[0]
    argv = [word.replace(HERE, seen) for word in commands.link_objects]
    argv += ["-o", f"{seen}/runtime.o", *(f"{seen}/{name}" for name in objects)]
    ran = shop.toolchain.run(argv, folder=commands.folder.replace(HERE, seen))
    if ran.status != 0:
        raise Unlearnable(f"linking the runtime: {kbuild_tier.first_complaint(ran.output)}")
    return slow / "runtime.o"


def _compare(shop: Workshop, kit: Kit, stub: BuildInput, slow: Path) -> str:
    with shop.cache.workplace() as work:
        try:
            made, _ = fast_tier.build(kit, stub, work)
        except BuildError as error:
            return str(error)
        kbuilt = Elf((slow / f"{STUB}.ko").read_bytes())
        from compiler.modbuild import tier_check

        return tier_check.difference(kbuilt, Elf(made.read_bytes()))


def _entry(work: Path, files: dict[str, bytes | Path]) -> Entry:
    """The parts in a folder of their own, as the cache would have them."""
    folder = work / "parts"
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
    return Entry(folder, tuple(files))


def _kit(shop: Workshop, entry: Entry, commands: Commands) -> Kit:
    exports = modversions.Exports(shop.headers.folder / "Module.symvers")
    return Kit(entry, commands, exports, shop.toolchain)


def _commands(tree: dict[str, Any]) -> Commands:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()}
    return Commands(**values)
