# SPDX-License-Identifier: GPL-2.0-or-later
"""One kernel to compile for, and every fact about it. Each fact is read at its first use.

    kernel = Kernel.running()
    kernel = Kernel.from_root(Path("/srv/guest"), "6.1.0-56")
    kernel.build_id.hex()            -> "e4f18d9dc1d0..."
    kernel.btf.function("vfs_read")  -> Prototype(...)
    kernel.headers                   -> Path("/usr/src/linux-headers-6.1.0-56") or None

| fact      | running kernel                        | kernel of a root folder          |
|-----------|---------------------------------------|----------------------------------|
| build_id  | /sys/kernel/notes                     | .notes of /boot/vmlinuz-R        |
| btf       | /sys/kernel/btf/vmlinux               | .BTF of /boot/vmlinuz-R          |
| modules   | /sys/kernel/btf/M, else the .ko file  | .BTF of the .ko file             |
| symbols   | /proc/kallsyms                        | a given copy, else System.map-R  |
| config    | /proc/config.gz, /boot/config-R, headers' .config, auto.conf (not /proc there)  |
| headers   | /lib/modules/R/build                                                            |
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from compiler.arch import Arch, UnknownArch, arch_of
from compiler.kernel import image
from compiler.kernel.btf import Btf
from compiler.kernel.errors import BadBtf, NoConfig, NoKernel, NoSymbols
from compiler.kernel.symbols import KALLSYMS, TRACEFS, Hookable, Symbols
from compiler.kernel.text_offsets import TextOffsets
from compiler.support import derived_cache
from compiler.support.did_you_mean import did_you_mean
from compiler.support.sysroot import inside
from runtime.support.record import record

if TYPE_CHECKING:
    from compiler.kernel.config import Config
    from compiler.kernel.tracepoints import Tracepoints

SYS_BTF: Final = Path("/sys/kernel/btf")
PROC_CONFIG: Final = Path("/proc/config.gz")
_IMAGES: Final = ("/boot/vmlinuz-{}", "/lib/modules/{}/vmlinuz", "/usr/lib/debug/boot/vmlinux-{}")
_INCLUDE: Final = "include "


@record
class Kernel:
    """`release` as `uname -r` prints it. `symbol_table` is a copy of /proc/kallsyms to use; `cache` a
    folder for sections unpacked from images, indexes of types and text offsets.

    Facts are cached, so use one object for one compile. Not slotted: cached_property needs a
    dictionary.
    """

    release: str
    arch: Arch
    root: Path
    is_running: bool
    symbol_table: Path | None = None
    cache: Path | None = None

    @classmethod
    def running(cls, cache: Path | None = None) -> Kernel:
        """The running kernel. Raises NoKernel for an architecture that is not supported."""
        release = os.uname().release
        return cls(release, _host_arch(), Path("/"), is_running=True, cache=cache)

    @classmethod
    def from_root(
        cls,
        root: Path,
        release: str,
        symbol_table: Path | None = None,
        cache: Path | None = None,
    ) -> Kernel:
        """A kernel installed in a root folder (`/` too, for one not booted yet). Raises NoKernel.

        `symbol_table` is a copy of its /proc/kallsyms. The kernel's architecture is this machine's: the
        compiler of the root folder runs here, too.
        """
        kernel = cls(release, _host_arch(), root, False, symbol_table, cache)
        if kernel.image_path is None and not kernel.modules.is_dir():
            known = releases(root)
            raise NoKernel(
                f"no kernel '{release}' under {root}",
                did_you_mean(release, known) or f"there is {', '.join(known) or 'none'}",
            )
        return kernel

    @cached_property
    def image_path(self) -> Path | None:
        """The vmlinuz or vmlinux, or None."""
        candidates = (inside(self.root, name.format(self.release)) for name in _IMAGES)
        return next((path for path in candidates if path.is_file()), None)

    @cached_property
    def build_id(self) -> bytes:
        """Usually 20 bytes; equal for two kernels only if they are the same build."""
        if self.is_running:
            return image.running_build_id()
        return image.build_id(self._image.notes)

    @cached_property
    def btf(self) -> Btf:
        """The kernel's types. Raises BadBtf or BadImage."""
        cached_at = self._cached("names")
        known = derived_cache.load(cached_at) if cached_at is not None else None
        if self.is_running:
            btf = Btf.read(SYS_BTF / "vmlinux", index=known)
        else:
            btf = Btf(self._image.btf, name="vmlinux", index=known)
        if cached_at is not None and known is None:
            derived_cache.store(cached_at, btf.index)
        return btf

    def module_btf(self, module: str) -> Btf:
        """A module's types on top of the kernel's. From then on `btf` knows their numbers, too.
        Raises BadBtf, also if the module has no types."""
        name = module.replace("-", "_")
        if name not in self._module_types:
            self._module_types[name] = self._read_module_btf(name)
        return self._module_types[name]

    @cached_property
    def _module_types(self) -> dict[str, Btf]:
        return {}

    def _read_module_btf(self, name: str) -> Btf:
        loaded = SYS_BTF / name
        if self.is_running and loaded.exists():
            return Btf.read(loaded, self.btf)
        path = self.module_file(name)
        if path is None:
            raise BadBtf(f"no module '{name}' of kernel '{self.release}'")
        data = image.read_section(path, ".BTF")
        if not data:
            raise BadBtf(f"module '{name}' carries no type information")
        return Btf(data, self.btf, name)

    def module_functions(self, module: str) -> frozenset[str]:
        """The functions in a module's file, by its symbol table; empty if there is no such file. Raises
        BadImage."""
        name = module.replace("-", "_")
        if name not in self._module_functions:
            path = self.module_file(name)
            self._module_functions[name] = (
                frozenset() if path is None else image.read_functions(path)
            )
        return self._module_functions[name]

    @cached_property
    def _module_functions(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def tracepoints(self) -> Tracepoints:
        """The tracepoints of the kernel proper; `Tracepoints(btf)` reads those of a module."""
        from compiler.kernel.tracepoints import Tracepoints

        return Tracepoints(self.btf, self.trace_systems)

    @cached_property
    def trace_systems(self) -> dict[str, str]:
        """Tracepoint -> system, from tracefs if it is mounted, else from the headers."""
        from compiler.kernel.tracepoints import systems_from_headers, systems_from_tracefs

        found: dict[str, str] = {}
        if self.is_running:
            mounts = (systems_from_tracefs(mount) for mount in TRACEFS)
            found = next((systems for systems in mounts if systems), {})
        if not found and self.headers_source is not None:
            found = systems_from_headers(self.headers_source / "include")
        return found

    @cached_property
    def symbols(self) -> Symbols:
        """The symbol table. Raises NoSymbols."""
        if self.symbol_table is not None:
            return Symbols.read(self.symbol_table)
        if self.is_running:
            return Symbols.read(KALLSYMS)
        return Symbols.read(inside(self.root, f"/boot/System.map-{self.release}"))

    @cached_property
    def text_offsets(self) -> TextOffsets:
        """The offsets of functions; empty if the kernel has no symbol table."""
        cached_at = self._cached("functions")
        known = derived_cache.load(cached_at) if cached_at is not None else None
        if known is not None:
            return TextOffsets(known)
        try:
            found = TextOffsets.of(self.symbols, self.arch)
        except NoSymbols:
            return TextOffsets()
        if cached_at is not None and found.are_known:
            derived_cache.store(cached_at, found.data)
        return found

    @cached_property
    def hookable(self) -> Hookable:
        """The functions that ftrace and kprobes accept, if the running kernel lists them."""
        return Hookable.read() if self.is_running else Hookable(None, None)

    @cached_property
    def modules(self) -> Path:
        """/lib/modules/R, whether or not it exists."""
        return inside(self.root, f"/lib/modules/{self.release}")

    @cached_property
    def headers(self) -> Path | None:
        """The folder to build modules in, or None if it is not installed."""
        path = inside(self.root, self.modules_link("build"))
        return path if (path / "Makefile").is_file() else None

    @cached_property
    def headers_source(self) -> Path | None:
        """The folder with the headers common to all flavours; Debian packages them separately."""
        if self.headers is None:
            return None
        link = inside(self.root, self.modules_link("source"))
        return next((f for f in (link, self._included, self.headers) if _has_headers(f)), None)

    def modules_link(self, name: str) -> Path:
        """A link of /lib/modules/R, as a path in the root."""
        return Path("/lib/modules") / self.release / name

    @cached_property
    def config(self) -> Config:
        """The build configuration. Raises NoConfig."""
        from compiler.kernel.config import Config

        candidates = [inside(self.root, f"/boot/config-{self.release}")]
        if self.is_running:
            candidates.insert(0, PROC_CONFIG)
        if self.headers is not None:
            candidates += [self.headers / ".config", self.headers / "include/config/auto.conf"]
        for path in candidates:
            try:
                data = path.read_bytes()
                text = _unzip(data) if path.suffix == ".gz" else data
            except (OSError, EOFError):
                continue
            return Config(text, str(path))
        raise NoConfig(
            f"no build configuration of kernel '{self.release}'",
            f"looked for {', '.join(map(str, candidates))}",
        )

    @cached_property
    def _image(self) -> image.Image:
        if self.image_path is None:
            raise NoKernel(f"no image of kernel '{self.release}' under {self.root}")
        return image.read_image(self.image_path, self.arch, self.cache)

    def _cached(self, fact: str) -> Path | None:
        """The file that caches a fact about this build of the kernel; None without a cache."""
        return self.cache / f"{self.build_id.hex()}.{fact}" if self.cache is not None else None

    @cached_property
    def _included(self) -> Path:
        """The folder whose Makefile is included by Debian's one-line Makefile of the headers."""
        assert self.headers is not None
        with (self.headers / "Makefile").open(errors="replace") as lines:
            for line in lines:
                if line.startswith(_INCLUDE) and line.rstrip().endswith("/Makefile"):
                    return inside(self.root, line.removeprefix(_INCLUDE).strip()).parent
        return self.headers

    def name_module(self, name: str, path: Path) -> None:
        """A module's file, which is not below `modules`."""
        self._named_modules[name] = path

    @cached_property
    def _named_modules(self) -> dict[str, Path]:
        return {}

    def module_file(self, name: str) -> Path | None:
        """The file that a module is loaded from, or None."""
        if name in self._named_modules:
            return self._named_modules[name]
        for path in self.modules.rglob("*.ko*"):
            if module_name(str(path)) == name:
                return path
        return None


def module_name(text: str) -> str:
    """The kernel's name of a module that a script names, or its file.

    >>> module_name("dm-mod"), module_name("/lib/modules/6.1.0/updates/nvme-tcp.ko.xz")
    ('dm_mod', 'nvme_tcp')
    """
    name = text.rpartition("/")[2].partition(".ko")[0] if is_module_file(text) else text
    return name.replace("-", "_")


def is_module_file(text: str) -> bool:
    """Whether what a script names is a file of a module, and no name."""
    return "/" in text and ".ko" in text


def is_installed(release: str, root: Path = Path("/")) -> bool:
    """Whether its image is there. Its folders may be left when it was removed."""
    return any(inside(root, name.format(release)).is_file() for name in _IMAGES)


def files_of_root(release: str) -> list[Path]:
    """The kernel's own files on this machine that some distributions let only root read."""
    names = (*_IMAGES, "/boot/System.map-{}")
    paths = (Path(name.format(release)) for name in names)
    return [path for path in paths if path.is_file()]


def releases(root: Path) -> list[str]:
    """The kernels installed under a root folder."""
    found = {path.name for path in inside(root, "/lib/modules").glob("*") if path.is_dir()}
    images = inside(root, "/boot").glob("vmlinuz-*")
    return sorted(found | {path.name.removeprefix("vmlinuz-") for path in images})


def _host_arch() -> Arch:
    try:
        return arch_of(os.uname().machine)
    except UnknownArch as error:
        raise NoKernel(error.message, error.hint) from error


def _unzip(data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)


def _has_headers(folder: Path) -> bool:
    return (folder / "include" / "linux" / "kernel.h").is_file()
