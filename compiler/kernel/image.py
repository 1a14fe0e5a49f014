# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections of a kernel image on disk, without tools made for it.

    read_image(Path("/boot/vmlinuz-6.1.0-56-amd64"))
      -> Image(btf=<5 MB>, notes=<164 bytes>)
    build_id(image.notes) -> b"\\xe4\\xf1\\x8d..."

A vmlinuz (x86 bzImage) is real-mode setup code, then an unpacker that carries the compressed ELF
file; its header says where (Documentation/arch/x86/boot.rst). A plain vmlinux works as well.
"""

from __future__ import annotations

import hashlib
import importlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

from compiler.kernel.errors import BadImage
from compiler.support import derived_cache
from runtime.support.record import record

SYS_NOTES: Final = Path("/sys/kernel/notes")
_ELF: Final = b"\x7fELF"
_BOOT_MAGIC_AT: Final = 0x202
_SETUP_SECTORS_AT: Final = 0x1F1
_PAYLOAD_AT: Final = 0x248  # offset and length of the payload, from protocol 2.08 on
_HEADER_END: Final = 0x250
_UNPACK_SECONDS: Final = 120
_BUILD_ID: Final = (b"GNU", 3)


@record
class Image:
    """`btf` is empty where the kernel was built without it. `notes` holds ELF notes."""

    btf: bytes
    notes: bytes


def read_image(path: Path, cache: Path | None = None) -> Image:
    """Unpack a vmlinuz or vmlinux and keep only what is asked for. Raises BadImage.

    Takes 0.3 to 1 s and, for that time, the unpacked kernel's size in memory (60 MB). With a
    `cache` folder, what is kept is stored there under a digest of the image, and the next time
    takes 15 ms.
    """
    data = _bytes(path)
    if cache is None:
        return _image(_elf(data, path))
    place = cache / f"{hashlib.blake2b(data, digest_size=20).hexdigest()}.facts"
    known = derived_cache.load(place)
    if known is not None:
        return _unpacked(known)
    found = _image(_elf(data, path))
    derived_cache.store(place, _packed(found))
    return found


def read_section(path: Path, name: str) -> bytes:
    """One section of a kernel, or of a module (`.ko`, `.ko.xz`, `.ko.zst`, `.ko.gz`)."""
    return section(_elf(_bytes(path), path), name)


def section(elf: bytes, name: str) -> bytes:
    """A section's bytes out of a 64-bit little-endian ELF file, empty if it has none."""
    if elf[:6] != _ELF + b"\x02\x01":
        raise BadImage("the kernel is not a 64-bit little-endian ELF file")
    try:
        (table,) = struct.unpack_from("<Q", elf, 0x28)
        entry_size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
        headers = [
            struct.unpack_from("<II8x8xQQ", elf, table + i * entry_size) for i in range(count)
        ]
        names_at = headers[names_index][2] if headers else 0
    except (struct.error, IndexError) as error:
        raise BadImage("the kernel's ELF file is damaged or cut short") from error
    wanted = name.encode() + b"\0"
    for name_offset, _, offset, size in headers:
        if elf.startswith(wanted, names_at + name_offset):
            if offset + size > len(elf):
                raise BadImage(f"section {name} of the kernel is cut short")
            return elf[offset : offset + size]
    return b""


def notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Each ELF note's owner, type and content. Stops at the first that does not fit."""
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
    """The linker's build-id among ELF notes (20 bytes as a rule). Raises BadImage."""
    for owner, kind, content in notes(data):
        if (owner, kind) == _BUILD_ID:
            return content
    raise BadImage("the kernel carries no build-id")


def running_build_id() -> bytes:
    """The running kernel's. Raises BadImage."""
    try:
        return build_id(SYS_NOTES.read_bytes())
    except OSError as error:
        raise BadImage(f"cannot read {SYS_NOTES}: {error.strerror}") from error


def _image(elf: bytes) -> Image:
    return Image(section(elf, ".BTF"), section(elf, ".notes"))


def _packed(found: Image) -> bytes:
    return struct.pack("<I", len(found.notes)) + found.notes + found.btf


def _unpacked(packed: bytes) -> Image:
    (size,) = struct.unpack_from("<I", packed)
    return Image(btf=packed[4 + size :], notes=packed[4 : 4 + size])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadImage(f"cannot read {path}: {error.strerror}") from error


def _elf(data: bytes, path: Path) -> bytes:
    if data.startswith(_ELF):
        return data
    if any(data.startswith(magic) for magic in _FORMATS):
        return _unpack(data, path)
    return _unpack(_payload(data, path), path)


def _payload(data: bytes, path: Path) -> bytes:
    if data[_BOOT_MAGIC_AT : _BOOT_MAGIC_AT + 4] != b"HdrS" or len(data) < _HEADER_END:
        raise BadImage(f"{path} is neither an x86 vmlinuz nor an ELF file")
    sectors = data[_SETUP_SECTORS_AT] or 4
    offset, size = struct.unpack_from("<II", data, _PAYLOAD_AT)
    start = (sectors + 1) * 512 + offset
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
            except Exception as error:  # every format has errors of its own
                raise BadImage(f"cannot unpack {path}: {error}") from error
            if not elf.startswith(_ELF):
                raise BadImage(f"cannot unpack {path}: no ELF file inside")
            return elf
    raise BadImage(f"cannot unpack {path}: unknown compression {payload[:4].hex()}")


# Only kernels that are not running are unpacked: who compiles for the running one imports none of it.


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
    """Unpack through a program, for formats that this Python cannot read."""
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
