# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels in root folders: where each file is found, and the message when it is missing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.arch.x86_64 import ARCH as X86_64
from compiler.kernel.btf_types import TypeId
from compiler.kernel.config import Config
from compiler.kernel.errors import BadBtf, BadImage, NoConfig, NoKernel, NoSymbols
from compiler.kernel.image import SYS_NOTES, build_id, notes, read_image
from compiler.kernel.kernel import Kernel, releases
from compiler.support import derived_cache
from compiler.support.sysroot import inside
from runtime.support.record import replace
from tests.compiler.kernel.commands import run


def _command(*words: str) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        if shutil.which(words[0]) is None:
            pytest.skip(f"needs {words[0]}")
        return subprocess.run(words, input=data, capture_output=True, check=True).stdout

    return pack


def _with_size(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pack(data) + struct.pack("<I", len(data))


def _vmlinuz(payload: bytes) -> bytes:
    """The parts of an x86 boot image that the reader uses: 2 setup sectors, a stub, the payload."""
    image = bytearray(1536 + 96)
    image[0x1F1] = 2
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 96, len(payload))
    return bytes(image) + payload + bytes(512)


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A small program with a .BTF section of known content and a build-id, and that id."""
    folder = tmp_path_factory.mktemp("elf")
    (folder / "a.c").write_text(
        'int main(void) { return 0; }\n__asm__(".section .BTF,\\"\\"\\n.ascii \\"types\\"\\n");\n'
    )
    run("gcc", "-Wl,--build-id=sha1", "a.c", "-o", "a", cwd=folder)
    run("objcopy", "--rename-section", ".note.gnu.build-id=.notes", "a", cwd=folder)
    shown = run("readelf", "-n", "a", cwd=folder)
    found = re.search(r"Build ID: (\w+)", shown)
    assert found is not None
    return (folder / "a").read_bytes(), bytes.fromhex(found[1])


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        _with_size(lzma.compress),
        _with_size(bz2.compress),
        _with_size(lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
        _with_size(_command("zstd", "-qc")),
        _with_size(_command("lz4", "-lqc")),
    ],
    ids=["gzip", "xz", "bzip2", "lzma", "zstd", "lz4"],
)
def test_each_compression(
    pack: Callable[[bytes], bytes], elf: tuple[bytes, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(_vmlinuz(pack(elf[0])))
    found = read_image(path, X86_64)
    assert found.btf == b"types"
    assert build_id(found.notes) == elf[1]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "neither a vmlinuz of x86_64 nor an ELF file"),
        (b"\x7fELF\x02\x01", "damaged or cut short"),
        (b"\x7fELF\x01\x01" + bytes(64), "not a 64-bit"),
        (_vmlinuz(b"what is this?"), "unknown compression 77686174"),
        (_vmlinuz(gzip.compress(b"no kernel")), "no ELF file inside"),
        (_vmlinuz(lzma.compress(b"no kernel")[:30]), "no ELF file inside|cannot unpack"),
        (_vmlinuz(gzip.compress(bytes(9000)))[:1640], "damaged or cut short"),
    ],
)
def test_a_damaged_image_is_refused(data: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(data)
    with pytest.raises(BadImage, match=complaint):
        read_image(path, X86_64)


def test_the_cache_of_images(elf: tuple[bytes, bytes], tmp_path: Path) -> None:
    path, cache = tmp_path / "vmlinux", tmp_path / "cache"
    path.write_bytes(elf[0])
    first = read_image(path, X86_64, cache)
    (derived_cache,) = cache.iterdir()
    stored = derived_cache.stat().st_ino
    assert read_image(path, X86_64, cache) == first == read_image(path, X86_64)
    assert derived_cache.stat().st_ino == stored, "the second reading unpacked again"
    derived_cache.write_bytes(derived_cache.read_bytes()[:-1])
    assert read_image(path, X86_64, cache) == first, "a damaged entry was believed"


def test_an_index_of_types_is_kept_and_gives_the_same_types(debian: Kernel, tmp_path: Path) -> None:
    made, again = (replace(debian, cache=tmp_path).btf for _ in range(2))
    assert len(list(tmp_path.glob("*.names"))) == 1
    assert again.index == made.index
    ids = [TypeId(number) for number in range(1, len(made), 1000)]
    assert [again[i] for i in ids] == [made[i] for i in ids]
    assert again.function("vfs_read") == made.function("vfs_read")


def test_only_so_many_facts_are_kept(tmp_path: Path) -> None:
    for number in range(20):
        derived_cache.store(tmp_path / f"{number}.names", b"x")
        os.utime(tmp_path / f"{number}.names", (number, number))
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 16
    assert "19.names" in names and "0.names" not in names


def test_notes_of_the_running_kernel() -> None:
    if not SYS_NOTES.exists():
        pytest.skip("the running kernel shows no notes")
    found = list(notes(SYS_NOTES.read_bytes()))
    assert (b"GNU", 3) in [(owner, kind) for owner, kind, _ in found]
    assert Kernel.running().build_id in [content for _, _, content in found]
    assert len(Kernel.running().build_id) == 20


def test_the_running_kernel() -> None:
    kernel = Kernel.running()
    assert kernel.release == os.uname().release
    assert kernel.is_running
    assert kernel.symbols.source == "/proc/kallsyms"


def test_a_debian_kernel_in_a_folder(debian: Kernel, debian_root: tuple[Path, str]) -> None:
    root, release = debian_root
    assert len(debian.build_id) == 20
    assert debian.headers == root / "usr/src" / f"linux-headers-{release}"
    assert debian.headers_source is not None
    assert debian.headers_source.name.endswith("-common")
    assert debian.config.source == str(root / "boot" / f"config-{release}")
    assert debian.config.get("CONFIG_KPROBES") == "y"
    assert (debian.headers_source / "include/linux/kernel.h").is_file()
    assert (debian.headers / "Module.symvers").is_file()
    with pytest.raises(NoSymbols, match="kallsyms"):
        _ = debian.symbols
    with pytest.raises(BadBtf, match="no module 'nothing'"):
        debian.module_btf("nothing")
    assert release in releases(root)


def test_a_given_symbol_table_is_used(debian_root: tuple[Path, str], tmp_path: Path) -> None:
    root, release = debian_root
    table = tmp_path / "kallsyms"
    table.write_text("".join(f"ffffffff82{i:06x} t filler_{i}\n" for i in range(200)))
    kernel = Kernel.from_root(root, release, symbol_table=table)
    assert kernel.symbols.address("filler_7") == 0xFFFFFFFF82000007


def test_no_such_kernel(debian_root: tuple[Path, str], tmp_path: Path) -> None:
    root, release = debian_root
    with pytest.raises(NoKernel, match=f"did you mean '{re.escape(release)}'"):
        Kernel.from_root(root, release.replace("amd64", "amd46"))
    with pytest.raises(NoKernel, match="there is none"):
        Kernel.from_root(tmp_path, release)


def test_a_kernel_with_modules_only(tmp_path: Path) -> None:
    (tmp_path / "lib/modules/1.2").mkdir(parents=True)
    kernel = Kernel.from_root(tmp_path, "1.2")
    assert kernel.headers is None
    with pytest.raises(NoKernel, match=r"no image of kernel '1.2'"):
        _ = kernel.btf
    with pytest.raises(NoConfig, match=r"boot/config-1.2"):
        _ = kernel.config


def test_the_configuration() -> None:
    text = b'CONFIG_A=y\nCONFIG_AB=m\n# CONFIG_OFF is not set\nCONFIG_S="a \\"b\\""\nCONFIG_N=250'
    config = Config(text, "somewhere")
    names = ("CONFIG_A", "CONFIG_AB", "CONFIG_OFF", "CONFIG_S", "CONFIG_N", "A", "CONFIG_A=y")
    assert [config.get(name) for name in names] == ["y", "m", None, 'a "b"', "250", None, None]


def test_links_stay_inside_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/lib/modules/1").mkdir(parents=True)
    (root / "usr/src/h").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib/modules/1/build").symlink_to("/usr/src/h")
    (root / "up").symlink_to("../../../etc/passwd")
    (root / "loop").symlink_to("loop")
    assert inside(root, "/lib/modules/1/build/x") == root / "usr/src/h/x"
    assert inside(root, "up") == root / "etc/passwd"
    assert inside(root, "/../../x") == root / "x"
    assert inside(root, "loop") == root / "loop"
    assert inside(Path("/"), "/proc/self/../version") == Path("/proc/version").parent / str(
        inside(Path("/"), "/proc/self/../version").name
    )


def test_the_functions_of_a_module_s_file(tmp_path: Path) -> None:
    """Kernels without type information for modules have this only."""
    source = tmp_path / "toy.c"
    source.write_text(
        "extern void elsewhere(void); int toy_count; static __attribute__((noinline)) void toy_work(void) { elsewhere(); }"
        """ void toy_read(void) { toy_work(); } __attribute__((section(".init.text"))) void toy_init(void) {}"""
    )
    folder = tmp_path / "lib/modules/1.2.3/kernel"
    folder.mkdir(parents=True)
    made = folder / "toy-one.ko"
    subprocess.run(["gcc", "-O2", "-c", source, "-o", made], check=True)
    kernel = Kernel("1.2.3", X86_64, tmp_path, is_running=False)
    assert kernel.module_functions("toy_one") == {"toy_work", "toy_read", "toy_init"}
    assert kernel.module_functions("toy-two") == set()
    made.write_bytes(made.read_bytes()[:200])
    damaged = Kernel("1.2.3", X86_64, tmp_path, is_running=False)
    with pytest.raises(BadImage, match="damaged"):
        damaged.module_functions("toy_one")
