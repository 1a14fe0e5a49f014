# SPDX-License-Identifier: GPL-2.0-or-later
"""The debug information of the kernel and of its modules, opened when a script names what BTF does not know.

debug_of(environment, "").place(<code>, 0xffffffff811b8a40)     -> ("vfs_read", 1768816)
debug_of(environment, "toy").place(<code>, 0x10042)             -> ("toy:toy_read", 18)

The file of the kernel or module is known by its build-id, so addresses and lines are those of the code that
runs. Addresses of the kernel proper are told by their distance from one function, wherever it is loaded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Final

from compiler.dwarf import debug_files
from compiler.dwarf.dwarf_types import KernelTypes
from compiler.dwarf.errors import DwarfError
from compiler.dwarf.functions import Code, Functions
from compiler.dwarf.linked_object import linked
from compiler.dwarf.reader import Debuginfo, damage_reported, require_pyelftools
from compiler.kernel import image
from compiler.kernel.errors import BadImage, KernelFactError
from compiler.kernel.kernel import Kernel
from compiler.kernel.text_offsets import ANCHOR
from compiler.probes.base import Environment
from compiler.probes.program_variables import opened_once
from compiler.support.elf import EXECUTABLE, Elf, ElfError
from compiler.support.sysroot import inside

_KERNEL_FILES: Final = (
    "/usr/lib/debug/boot/vmlinux-{0}",
    "/usr/lib/debug/lib/modules/{0}/vmlinux",
    "/lib/modules/{0}/vmlinux",
    "/boot/vmlinux-{0}",
    "/lib/modules/{0}/build/vmlinux",
)
_PACKAGES: Final = (
    "apt install linux-image-{0}-dbg (Ubuntu: -dbgsym), or dnf debuginfo-install kernel"
)


class KernelDebug:
    """`debug.elf` is the file with the DWARF, its sections at the addresses that the DWARF has. `module`: ""
    for the kernel proper; `owner`: the same, for messages."""

    def __init__(self, debug: Debuginfo, types: KernelTypes, module: str) -> None:
        self.debug, self.types, self.module = debug, types, module
        self.functions = Functions(debug)
        self.owner = f"module '{module}'" if module else "the kernel"

    def place(self, code: Code, address: int) -> tuple[str, int]:
        """The symbol and the offset by which the runtime finds an address of a function's code, as a Kprobe
        has them. Raises DwarfError."""
        if not self.module:
            return self.functions.outer_name(code), address - self._anchor
        starts, names = self._symbols
        at = bisect_right(starts, address) - 1
        if at < 0:
            raise DwarfError(f"{self.owner} has no function at '{code.name}'")
        if self._counts[names[at]] > 1:
            raise DwarfError(
                f"{self.owner} has {self._counts[names[at]]} functions '{names[at]}'",
                "their lines and inline instances cannot be told apart when it is loaded",
            )
        return f"{self.module}:{names[at]}", address - starts[at]

    @cached_property
    def _anchor(self) -> int:
        """The linked address of the function that offsets are counted from."""
        found = self.functions.named(ANCHOR)
        if len(found) != 1:
            raise DwarfError(f"the kernel's debug information lacks '{ANCHOR}'")
        return found[0].entry

    @cached_property
    def _symbols(self) -> tuple[list[int], list[str]]:
        """The functions of a module in the order of their addresses."""
        elf = self.debug.elf
        code = {i: s.address for i, s in enumerate(elf.sections) if s.flags & EXECUTABLE}
        named = sorted(
            (code[s.section] + s.value, s.name)
            for s in elf.symbols
            if s.section in code and s.name and not s.name.startswith((".", "__pfx_"))
        )
        return [address for address, _ in named], [name for _, name in named]

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(self._symbols[1])


def debug_of(environment: Environment, module: str) -> KernelDebug:
    """The debug information of the kernel proper (""), or of a module, opened once in a compile. Raises
    DwarfError, which says what is missing and what has it."""
    return opened_once(environment, f"module {module}", lambda: _opened(environment, module))


def _opened(environment: Environment, module: str) -> KernelDebug:
    kernel = environment.kernel

    def read(path: str) -> Path:
        return environment.programs.noted(inside(kernel.root, path))

    try:
        debug = _of_module(kernel, module, read) if module else _of_kernel(kernel, read)
    except KernelFactError as error:
        raise DwarfError(error.message, error.hint) from error
    except (ElfError, OSError) as error:
        owner = f"module '{module}'" if module else "the kernel"
        raise DwarfError(f"the debug information of {owner} cannot be read: {error}") from error
    with damage_reported(debug.path):
        btf = kernel.btf
        try:
            types = kernel.module_btf(module) if module else btf
        except KernelFactError:
            types = btf
        found = btf.continued(
            debug.identity, debug.end, lambda first: KernelTypes(debug, first, types)
        )
        assert isinstance(found, KernelTypes)
        # the compile before this one of the same process may have opened it
        opened = KernelDebug(found.debug, found, module)
        opened.debug.index  # noqa: B018 - it is made here, so that damage shows here
        return opened


def _of_kernel(kernel: Kernel, read: debug_files.Read) -> Debuginfo:
    names = [name.format(kernel.release) for name in _KERNEL_FILES]
    path = debug_files.with_build_id(kernel.build_id, names, read)
    if path is None:
        others = [name for name in names if read(name).is_file()]
        what = f"'{others[0]}' is of another build" if others else "there is none"
        raise DwarfError(
            f"this needs the debug information of kernel {kernel.release}: {what}",
            _PACKAGES.format(kernel.release),
        )
    require_pyelftools()
    return Debuginfo(debug_files.open_elf(path), path, None, kernel.cache)


def _of_module(kernel: Kernel, module: str, read: debug_files.Read) -> Debuginfo:
    file = kernel.module_file(module)
    if file is None:
        raise DwarfError(
            f"this needs the file of module '{module}', which is not below {kernel.modules}",
            f'name the file: module("/path/{module}.ko")',
        )
    own = Elf(image.read_elf(file))
    wanted = debug_files.build_id(own)
    _require_loaded(kernel, module, wanted, file)
    path = file
    if not debug_files.has_dwarf(own):
        found = debug_files.with_build_id(wanted, _beside(kernel, file), read) if wanted else None
        if found is None:
            raise DwarfError(
                f"this needs the debug information of module '{module}': there is none",
                f"compile it with -g; of the kernel's own modules: {_PACKAGES.format(kernel.release)}",
            )
        path, own = found, debug_files.open_elf(found)
    require_pyelftools()
    elf = linked(own, kernel.arch)
    return Debuginfo(elf, path, None, kernel.cache, elf)


def _beside(kernel: Kernel, file: Path) -> list[str]:
    """Where debug packages have the file of a module of the kernel's folder."""
    try:
        inner = file.relative_to(kernel.modules).with_name(file.name.partition(".ko")[0])
    except ValueError:
        return []
    place = f"/usr/lib/debug/lib/modules/{kernel.release}/{inner}.ko"
    return [place, f"{place}.debug"]


def _require_loaded(kernel: Kernel, module: str, wanted: bytes, file: Path) -> None:
    """Raise DwarfError if another build of the module runs here than that of the file."""
    note = Path(f"/sys/module/{module}/notes/.note.gnu.build-id")
    if not kernel.is_running or not note.is_file():
        return
    try:
        loaded = image.build_id(note.read_bytes())
    except BadImage:
        return
    if loaded != wanted:
        raise DwarfError(
            f"the module '{module}' that is loaded is another build than '{file}'",
            "load it again: rmmod, then modprobe",
        )
