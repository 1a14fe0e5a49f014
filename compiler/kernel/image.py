# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections of kernel images and modules on disk, packed or not.

    read_image(Path("/boot/vmlinuz-6.1.0-56"), arch)
      -> Image(btf=<5 MB>, notes=<164 bytes>)
    build_id(image.notes) -> b"\\xe4\\xf1\\x8d..."

A vmlinuz is a boot image that carries the packed ELF file; the architecture's record knows at which
offset. A plain vmlinux works as well.
"""

from __future__ import annotations

import hashlib
import importlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from compiler.kernel.errors import BadImage
from compiler.support import derived_cache, given_files
from runtime.support.record import record

if TYPE_CHECKING:
    from compiler.arch import Arch

SYS_NOTES: Final = Path("/sys/kernel/notes")
_ELF: Final = b"\x7fELF"
_UNPACK_SECONDS: Final = 120
_BUILD_ID: Final = (b"GNU", 3)


@record
class Image:
    """`btf` is empty if the kernel was built without it. `notes` holds ELF notes."""

    btf: bytes
    notes: bytes


def read_image(path: Path, arch: Arch, cache: Path | None = None) -> Image:
    """Unpack a vmlinuz or vmlinux and take two of its sections. Raises BadImage.

    Takes 0.3 to 1 s and, for that time, the unpacked kernel's size in memory (60 MB). With a
    `cache` folder, the two sections are stored there under a digest of the image, and the next call
    takes 15 ms.
    """
    data = _bytes(path)
    if cache is None:
        return _image(kernel_elf(data, path, arch))
    cached_at = cache / f"{hashlib.blake2b(data, digest_size=20).hexdigest()}.facts"
    known = derived_cache.load(cached_at)
    if known is not None:
        return _unpacked(known)
    found = _image(kernel_elf(data, path, arch))
    derived_cache.store(cached_at, _packed(found))
    return found


def read_section(path: Path, name: str) -> bytes:
    """One section of a module (`.ko`, `.ko.xz`, `.ko.zst`, `.ko.gz`); empty if it has none of that
    name. Raises BadImage."""
    return _sections(read_elf(path), name)[0]


def read_elf(path: Path) -> bytes:
    """A module's file, unpacked if it is packed. Raises BadImage."""
    data = _bytes(path)
    return data if data.startswith(_ELF) else _unpack(data, path)


def read_functions(path: Path) -> frozenset[str]:
    """The names of a module's functions by its symbol table. Raises BadImage."""
    from compiler.support.elf import EXECUTABLE, Elf, ElfError

    try:
        elf = Elf(read_elf(path))
        code = {i for i, section in enumerate(elf.sections) if section.flags & EXECUTABLE}
        named = (s.name for s in elf.symbols if s.section in code)
        # parts that a compiler has split off have names with a dot
        return frozenset(name for name in named if name.isidentifier())
    except ElfError as error:
        raise BadImage(f"{path} is damaged or cut short ({error})") from error


def _sections(data: bytes, *names: str) -> list[bytes]:
    """The contents of sections out of an ELF file; empty for a section that the file lacks."""
    from compiler.support.elf import Elf, ElfError

    try:
        elf = Elf(data)
        return [elf.contents(name) for name in names]
    except ElfError as error:
        raise BadImage(f"the kernel's ELF file is damaged or cut short ({error})") from error


def notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Each ELF note's owner, type and content. Stops at the first note that is cut short."""
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<III", data, at)
        name_at = at + 12
        content_at = name_at + (name_size + 3 & ~3)
        at = content_at + (size + 3 & ~3)
        if content_at + size > len(data):
            return
        yield (
            data[name_at : name_at + name_size].rstrip(b"\0"),
            kind,
            data[content_at : content_at + size],
        )


def build_id(data: bytes) -> bytes:
    """The linker's build-id among ELF notes, usually 20 bytes. Raises BadImage."""
    for owner, kind, content in notes(data):
        if (owner, kind) == _BUILD_ID:
            return content
    raise BadImage("the kernel carries no build-id")


def running_build_id() -> bytes:
    """The build-id of the running kernel. Raises BadImage."""
    try:
        return build_id(SYS_NOTES.read_bytes())
    except OSError as error:
        raise BadImage(f"cannot read {SYS_NOTES}: {error.strerror}") from error


def _image(elf: bytes) -> Image:
    return Image(*_sections(elf, ".BTF", ".notes"))


def _packed(found: Image) -> bytes:
    return struct.pack("<I", len(found.notes)) + found.notes + found.btf


def _unpacked(packed: bytes) -> Image:
    (size,) = struct.unpack_from("<I", packed)
    return Image(btf=packed[4 + size :], notes=packed[4 : 4 + size])


def _bytes(path: Path) -> bytes:
    try:
        return given_files.read(path)
    except OSError as error:
        raise BadImage(f"cannot read {path}: {error.strerror}") from error


def kernel_elf(data: bytes, path: Path, arch: Arch) -> bytes:
    """The vmlinux in a kernel's image. `path`: for messages. Raises BadImage."""
    if data.startswith(_ELF):
        return data
    if any(data.startswith(magic) for magic in _FORMATS):
        return _unpack(data, path)
    return _unpack(_payload(data, path, arch), path)


def _payload(data: bytes, path: Path, arch: Arch) -> bytes:
    found = arch.boot_payload(data)
    if found is None:
        raise BadImage(f"{path} is neither a vmlinuz of {arch.name} nor an ELF file")
    start, size = found
    payload = data[start : start + size]
    if not size or len(payload) < size:
        raise BadImage(f"{path} is damaged or cut short")
    return payload


def _unpack(payload: bytes, path: Path) -> bytes:
    for magic, unpack in _FORMATS.items():
        if payload.startswith(magic):
            try:
                elf = unpack(payload)
            except BadImage:
                raise
            except Exception as error:  # each format has exceptions of its own
                raise BadImage(f"cannot unpack {path}: {error}") from error
            if not elf.startswith(_ELF):
                raise BadImage(f"cannot unpack {path}: no ELF file inside")
            return elf
    raise BadImage(f"cannot unpack {path}: unknown compression {payload[:4].hex()}")


# Compiling for the running kernel unpacks nothing, so each format is imported where it is needed.


def _gzip(packed: bytes) -> bytes:
    import zlib

    return zlib.decompressobj(31).decompress(packed)


def _xz(packed: bytes) -> bytes:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed)


def _lzma(packed: bytes) -> bytes:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(packed)


def _bzip2(packed: bytes) -> bytes:
    import bz2

    return bz2.BZ2Decompressor().decompress(packed)


def _lz4(packed: bytes) -> bytes:
    return _command("lz4", packed)


def _zstd(packed: bytes) -> bytes:
    try:
        module = importlib.import_module("compression.zstd")  # Python 3.14
    except ImportError:
        return _command("zstd", packed)
    return cast(bytes, module.ZstdDecompressor().decompress(packed))


def _command(name: str, packed: bytes) -> bytes:
    """Unpack with a program, for formats that this Python cannot read."""
    import shutil
    import subprocess

    if shutil.which(name) is None:
        raise BadImage(f"the kernel image is packed with {name}", f"apt install {name}")
    done = subprocess.run(
        [name, "-dc"], input=packed, capture_output=True, timeout=_UNPACK_SECONDS, check=False
    )
    # the unpacked size follows the packed kernel, which programs report as trailing garbage
    if done.returncode != 0 and not done.stdout.startswith(_ELF):
        reason = done.stderr.decode(errors="replace").strip()
        raise BadImage(f"{name} cannot unpack the kernel image: {reason}")
    return done.stdout


_FORMATS: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b\x08": _gzip,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x02\x21\x4c\x18": _lz4,
    b"BZh": _bzip2,
    b"\x5d\0\0": _lzma,
}
