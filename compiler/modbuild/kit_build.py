# SPDX-License-Identifier: GPL-2.0-or-later
"""Making a kernel's kit: build a stub with kbuild, take its parts, compare the tiers. Once for a kernel.

prepare(inputs, key, progress) -> Preparation   # its parts, commands and outcome are in the cache
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from compiler.modbuild import fast_tier, kbuild_tier, target_header, tier_check
from compiler.modbuild.errors import BuildError
from compiler.modbuild.fast_tier import HERE, STUB, Commands, KernelKit, read_object
from compiler.modbuild.kbuild_commands import Unlearnable, learn
from compiler.modbuild.kernel_kit import RECORD, KitInputs, Preparation, load, make_kit
from compiler.modbuild.request import BuildInput
from compiler.modbuild.toolchain import first_complaint
from compiler.support.content_store import Entry, UnsafeCache
from compiler.support.elf import ElfError
from runtime.support.record import asdict

_EXTENDED = "__version_ext_names"  # checksums in the format of newer kernels


def prepare(inputs: KitInputs, key: str, progress: Callable[[str], None]) -> Preparation:
    """Make the kit in about 3 s, unless another process does. Raises BuildError and UnsafeCache."""
    with inputs.cache.locked(f"kernel-{key[:16]}"):
        found = load(inputs, key)
        if found is None:
            progress(f"preparing for kernel {inputs.kernel.release}, once")
            _make(inputs, key)
            found = load(inputs, key)
    if found is None:
        raise UnsafeCache(f"the cache {inputs.cache.root} loses entries")
    return found


def _make(inputs: KitInputs, key: str) -> None:
    """Build the stub with both tiers and store the outcome."""
    with inputs.cache.workplace() as work:
        slow = work / "slow"
        slow.mkdir()
        stub = BuildInput(
            module=STUB,
            c_text=inputs.sources.files["template/stub.c"].decode(),
            manifest='{"stub":"of the fast tier"}',
            kernel=inputs.kernel,
        )
        target = target_header.header(inputs.kernel.btf, inputs.kernel.arch)
        kbuild_tier.lay_out(slow, inputs.sources, target, stub)
        output = kbuild_tier.make(slow, inputs.headers, inputs.toolchain, stub, verbose=True).output
        files: dict[str, bytes | Path] = {}
        commands = None
        try:
            commands = learn(slow, inputs.toolchain.path(slow), STUB, output)
            files = _parts(inputs, slow, commands)
            problem = _compare(inputs, make_kit(inputs, _entry(work, files), commands), stub, slow)
        except (Unlearnable, ElfError) as error:
            problem = str(error)
        compiler = commands.compiler if commands else ""
        record = {
            "commands": asdict(commands) if commands else None,
            "compiler": compiler,
            "compiler_identity": inputs.toolchain.identity(compiler),
            "problem": problem,
        }
        inputs.cache.put(key, {**files, RECORD: json.dumps(record).encode()})


def _parts(inputs: KitInputs, slow: Path, commands: Commands) -> dict[str, bytes | Path]:
    """The objects and headers that the build of every script needs, by their names in the entry."""
    objects = {
        "runtime.o": _runtime(inputs, slow, commands),
        "manifest.o": slow / "manifest.o",
        "module.o": slow / f"{STUB}.mod.o",
    }
    module = read_object(objects["module.o"].read_bytes(), inputs.kernel.arch)
    if module.contents(_EXTENDED):
        raise Unlearnable("checksums of kernel symbols have a newer format")
    parts: dict[str, bytes | Path] = {**objects}
    for name in commands.common:
        path = Path(name.replace(HERE, str(slow)))
        parts[f"common/{path.name}"] = path if path.is_absolute() else slow / path
    for path in (slow / "include").rglob("*.h"):
        parts[str(path.relative_to(slow))] = path
    return parts


def _runtime(inputs: KitInputs, slow: Path, commands: Commands) -> Path:
    """The runtime's objects as one, in the order in which kbuild linked them."""
    seen = inputs.toolchain.path(slow)
    objects = runtime_objects((slow / f"{STUB}.mod").read_text(), seen)
    if len(objects) == 1:
        return slow / objects[0]
    argv = [word.replace(HERE, seen) for word in commands.link_objects]
    argv += ["-o", f"{seen}/runtime.o", *(f"{seen}/{name}" for name in objects)]
    ran = inputs.toolchain.run(argv, folder=commands.folder.replace(HERE, seen))
    if ran.status != 0:
        raise Unlearnable(f"linking the runtime: {first_complaint(ran.output)}")
    return slow / "runtime.o"


def runtime_objects(listed: str, folder: str) -> list[str]:
    """The names of the runtime's objects, of kbuild's list of a module's. It has absolute paths, names, or
    paths from ".", by the kernel's release.

    >>> runtime_objects("/w/whole.o\\n/w/script.o\\n", "/w")
    ['whole.o']
    """
    names = [word.removeprefix(f"{folder}/").removeprefix("./") for word in listed.split()]
    return [name for name in names if name not in ("script.o", "manifest.o")]


def _compare(inputs: KitInputs, kit: KernelKit, stub: BuildInput, slow: Path) -> str:
    with inputs.cache.workplace() as work:
        try:
            made, _ = fast_tier.build(kit, stub, work)
            slow_file, fast_file = (
                read_object(path.read_bytes(), kit.arch) for path in (slow / f"{STUB}.ko", made)
            )
            return tier_check.difference(slow_file, fast_file)
        except (BuildError, ElfError) as error:
            return str(error)


def _entry(work: Path, files: dict[str, bytes | Path]) -> Entry:
    """The parts in a folder, as the cache would store them."""
    folder = work / "parts"
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
    return Entry(folder, tuple(files))
