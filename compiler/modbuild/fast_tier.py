# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast tier: a script's C is linked with objects prepared once for each kernel, without make.

    script.c --gcc--> script.o --objtool--> script.o -+
    manifest.o, module.o: templates, patched here ----+--ld--> NAME.ko
    runtime.o: prepared ------------------------------+

On kernels where kbuild runs objtool once over all objects, `ld -r` comes before it. module.o is what
modpost makes for kbuild: the kernel's view of the module, its checksums and its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from compiler.arch import Arch
from compiler.modbuild import modversions
from compiler.modbuild.errors import BuildError, Slug
from compiler.modbuild.request import NAME_SIZE, BuildInput
from compiler.modbuild.toolchain import Toolchain, first_complaint
from compiler.support.content_store import Entry
from compiler.support.elf import RELOCATABLE, Elf, ElfError
from runtime.support.record import field, record

STUB = "stapwatch_stub"
PREFIX = "prefix.h"  # of precompiled kernel headers
MANIFEST_SECTION = ".stapwatch.manifest"
MODINFO = ".modinfo"
THIS_MODULE = ".gnu.linkonce.this_module"
HERE = "@HERE@"  # in commands: the folder that their words belong to


@record
class Commands:
    """The commands of one kernel's kbuild. Each is the beginning of a command line: inputs and `-o OUTPUT`
    follow, and HERE stands for the folder of the prepared objects."""

    folder: str  # to run them in; `script` runs anywhere
    script: tuple[str, ...]  # compiles C without kernel headers
    embedded: tuple[str, ...]  # compiles C with kernel headers
    objtool: tuple[str, ...]  # empty: this kernel needs none
    objtool_sees_all: bool  # once over all objects linked, not over each
    link_objects: tuple[str, ...]
    link_module: tuple[str, ...]
    common: tuple[str, ...]  # kbuild's objects that are part of every module

    def folder_of(self, prepared: str) -> str:
        """`folder`, for commands whose HERE is `prepared`."""
        return self.folder.replace(HERE, prepared)

    @property
    def compiler(self) -> str:
        return self.script[0]


@record
class KernelKit:
    """The parts prepared for one kernel: `entry` holds runtime.o, manifest.o, module.o, include/."""

    entry: Entry
    commands: Commands
    exports: modversions.Exports
    toolchain: Toolchain
    arch: Arch
    _objects: dict[str, Elf] = field(default_factory=dict, repr=False)

    def object(self, name: str) -> Elf:
        """A prepared object, read once. Raises BuildError."""
        found = self._objects.get(name)
        if found is None:
            found = self._objects[name] = read_object(self.entry.read(name), self.arch)
        return found

    def words(self, command: Iterable[str], here: Path) -> list[str]:
        """A learned command for the prepared folder `here`."""
        seen = self.toolchain.path(here)
        return [word.replace(HERE, seen) for word in command]

    @property
    def common(self) -> tuple[str, ...]:
        return tuple(name for name in self.entry.files if name.startswith("common/"))


def build(
    kit: KernelKit, request: BuildInput, work: Path, headers: Entry | None = None
) -> tuple[Path, list[str]]:
    """Make work/MODULE.ko; the second value is objtool's warnings. `headers`: precompiled, for embedded C.

    Raises BuildError; its slug "link-failed" means that kbuild may still succeed.
    """
    try:
        return _build(kit, request, work, headers)
    except ElfError as error:
        raise BuildError("link-failed", f"a tool wrote a damaged file: {error}") from error


def read_object(data: bytes, arch: Arch) -> Elf:
    """A relocatable file that a tool wrote. Raises BuildError ("link-failed")."""
    try:
        elf = Elf(data)
        elf.require((RELOCATABLE,), arch.elf_machine)
        return elf
    except ElfError as error:
        raise BuildError("link-failed", f"a tool wrote a bad ELF file: {error}") from error


def _build(
    kit: KernelKit, request: BuildInput, work: Path, headers: Entry | None
) -> tuple[Path, list[str]]:
    seen = kit.toolchain.path(work)
    (work / "script.c").write_text(request.c_text)
    _compile(kit, request, work, headers)
    script = f"{seen}/script.o"
    objects = [kit.toolchain.path(kit.entry.path("runtime.o")), script, f"{seen}/manifest.o"]
    manifest = request.manifest.encode()
    (work / "manifest.o").write_bytes(_with_manifest(kit, manifest))
    commands = kit.commands
    if commands.objtool_sees_all:
        whole = f"{seen}/whole.o"
        _run(kit, work, "link-failed", [*commands.link_objects, "-o", whole, *objects])
        objects = [whole]
    checked = Path(objects[0]).name if commands.objtool_sees_all else "script.o"
    complaints = ""
    if commands.objtool:
        complaints = _run(kit, work, "link-failed", [*commands.objtool, f"{seen}/{checked}"])
    needed = read_object((work / checked).read_bytes(), kit.arch)
    (work / "module.o").write_bytes(_module_object(kit, request.module, needed))
    objects.append(f"{seen}/module.o")
    objects += [kit.toolchain.path(kit.entry.path(name)) for name in kit.common]
    path = work / f"{request.module}.ko"
    _run(kit, work, "link-failed", [*commands.link_module, "-o", f"{seen}/{path.name}", *objects])
    return path, [f"objtool: {line}" for line in complaints.splitlines() if line.strip()]


def apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command's `-include` files, and its other words."""
    includes, others = [], []
    rest = iter(words)
    for word in rest:
        if word == "-include":
            includes.append(next(rest, ""))
        else:
            others.append(word)
    return includes, others


def _compile(kit: KernelKit, request: BuildInput, work: Path, headers: Entry | None) -> None:
    """Run in the work folder if possible: the compiler then records a short file name."""
    seen = kit.toolchain.path(work)
    if request.embedded and kit.commands.folder != HERE:
        folder, file = kit.commands.folder, f"{seen}/script.c"
    else:
        folder, file = seen, "script.c"
    if request.embedded and headers is not None:
        _, words = apart(kit.commands.embedded)
        (work / "names.h").write_text(_names(kit, request.module))
        words += ["-include", kit.toolchain.path(headers.path(PREFIX))]
        words += ["-include", f"{seen}/names.h", f"-fmacro-prefix-map={seen}/="]
    elif request.embedded:
        words = [word.replace(STUB, request.module) for word in kit.commands.embedded]
        words.append(f"-fmacro-prefix-map={seen}/=")
    else:
        words = list(kit.commands.script)
    words += [*request.cflags, "-c", "-o", f"{seen}/script.o", file]
    _run(kit, work, "compile-failed", words, folder)


def _names(kit: KernelKit, module: str) -> str:
    """Redefine the macros of kbuild's command that hold the stub's name, with the module's."""
    lines = []
    for word in kit.commands.embedded:
        if word.startswith("-D") and STUB in word:
            name, _, value = word[2:].partition("=")
            lines += [f"#undef {name}", f"#define {name} {value.replace(STUB, module)}"]
    return "\n".join([*lines, ""])


def _run(kit: KernelKit, work: Path, slug: Slug, command: Sequence[str], folder: str = "") -> str:
    prepared = kit.entry.folder
    argv = kit.words(command, prepared)
    folder = folder or kit.commands.folder_of(kit.toolchain.path(prepared))
    # Debian's objtool from 6.12 on is a script that asks for the architecture
    env = {"TMPDIR": kit.toolchain.path(work), "SRCARCH": kit.arch.kernel_name}
    ran = kit.toolchain.run(argv, folder=folder, env=env)
    if ran.status != 0:
        output = f"{' '.join(argv)}\n{ran.output}"
        raise BuildError(slug, first_complaint(ran.output), output=output)
    return ran.output


def _with_manifest(kit: KernelKit, manifest: bytes) -> bytes:
    return kit.object("manifest.o").patched(
        {MANIFEST_SECTION: manifest}, {"sw_manifest_end": len(manifest)}
    )


def _module_object(kit: KernelKit, module: str, checked: Elf) -> bytes:
    """modpost's part: name, dependencies, and checksums of the symbols that the objects need."""
    template = kit.object("module.o")
    others = [kit.object(name) for name in ("runtime.o", "manifest.o", "module.o", *kit.common)]
    objects = [checked, *others]
    defined = frozenset[str]().union(*(elf.defined for elf in objects))
    needed = frozenset[str]().union(*(elf.undefined for elf in objects)) - defined
    info = kit.object("runtime.o").contents(MODINFO) + checked.contents(MODINFO)
    known = modversions.read_table(template.contents(modversions.SECTION))
    checksums, depends = _resolve(kit.exports, needed - known.keys(), info.split(b"\0"))
    checksums |= {name: crc for name, crc in known.items() if name in needed | {"module_layout"}}
    contents = {
        MODINFO: _renamed(template.contents(MODINFO), module, depends),
        THIS_MODULE: _renamed_struct(template.contents(THIS_MODULE), module),
    }
    if known:  # else the kernel was built without checksums
        contents[modversions.SECTION] = modversions.write_table(checksums)
    return template.patched(contents, {})


def _resolve(
    exports: modversions.Exports, needed: Iterable[str], info: Sequence[bytes]
) -> tuple[dict[str, int], list[str]]:
    """Checksums of symbols, and the modules that export them. Those of the stub are known already."""
    checksums: dict[str, int] = {}
    depends: list[str] = []
    for name in sorted(needed):
        export = exports.find(name)
        if export is None:
            message = f"the module needs '{name}', which this kernel does not export"
            raise BuildError("unknown-symbol", message)
        if export.namespace and f"import_ns={export.namespace}".encode() not in info:
            message = f"'{name}' is in the namespace {export.namespace}, which is not imported"
            raise BuildError("unknown-symbol", message)
        if len(name) > modversions.LONGEST:
            raise BuildError("link-failed", f"the symbol '{name}' is too long")
        checksums[name] = export.crc
        owner = Path(export.module).name
        if owner != "vmlinux" and owner not in depends:
            depends.append(owner)
    return checksums, depends


def _renamed(info: bytes, module: str, depends: Sequence[str]) -> bytes:
    lines = []
    for line in info.rstrip(b"\0").split(b"\0"):
        tag, _, value = line.decode().partition("=")
        match tag:
            case "name":
                value = module
            case "depends":
                value = ",".join([*filter(None, value.split(",")), *depends])
        lines.append(f"{tag}={value}".encode())
    return b"".join(line + b"\0" for line in lines)


def _renamed_struct(contents: bytes, module: str) -> bytes:
    """`struct module` with another name in its name field, whose offset differs between kernels."""
    at = contents.index(STUB.encode().ljust(NAME_SIZE, b"\0"))
    return contents[:at] + module.encode().ljust(NAME_SIZE, b"\0") + contents[at + NAME_SIZE :]
