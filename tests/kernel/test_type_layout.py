# SPDX-License-Identifier: GPL-2.0-or-later
"""Member places, against a C compiler: gcc writes the BTF and tells the offsets and the bits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler.kernel import btf_types as k
from compiler.kernel import type_layout
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.errors import NoSuchMember
from compiler.kernel.image import read_section
from compiler.kernel.kernel import Kernel
from compiler.kernel.type_layout import Place, Step
from tests.kernel.commands import run

SOURCE = """
#include <stddef.h>
#include <stdio.h>
#include <string.h>
typedef unsigned char byte;
struct leaf { long a; char name[12]; const struct leaf *next; };
struct bits { unsigned a:3, b:7, :5, c:17; long d:40; _Bool e:1; short f:9; };
struct __attribute__((packed)) tight { byte head; unsigned a:13, b:20; struct leaf leaf; };
struct root {
    byte first;
    union { int u; struct { short lo, hi; union { char deep; long wide; }; }; };
    struct leaf leaf, leaves[3], *far, **farther;
    struct bits bits;
    struct tight tight;
    volatile struct leaf *const odd;
    int (*call)(struct leaf *, int, ...);
    int row[5];
    struct unknown *hidden;
    struct { int x; } empty_handed;
    char tail[];
};
struct root root;
struct bits bits;
struct tight tight;
"""

PLACES = [
    "first", "u", "lo", "hi", "deep", "wide", "leaf.a", "leaf.name", "leaves", "leaves[2].next",
    "leaves[1].name[3]", "tight.head", "tight.leaf", "tight.leaf.name", "odd", "call", "row[3]",
    "hidden", "empty_handed.x", "tail", "far", "farther",
]  # fmt: skip
BITS = ["bits.a", "bits.b", "bits.c", "bits.d", "bits.e", "bits.f", "tight.a", "tight.b"]


def _path(text: str) -> list[str | int]:
    words = text.replace("[", ".[").split(".")
    return [int(word[1:-1]) if word.startswith("[") else word for word in words]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source compiled to an object with BTF, and a program that tells what C makes of it."""
    path = tmp_path_factory.mktemp("layout")
    (path / "types.c").write_text(SOURCE)
    done = subprocess.run(
        ["gcc", "-gbtf", "-c", "types.c"], cwd=path, capture_output=True, timeout=60, check=False
    )
    if done.returncode != 0:
        pytest.skip("needs a gcc that writes BTF (12 or newer)")
    offsets = [f'printf("%zu\\n", offsetof(struct root, {place}));' for place in PLACES]
    masks = [
        f"memset(&root, 0, sizeof root); root.{place} = -1; "
        'for (size_t i = 0; i < sizeof root; i++) printf("%02x", ((byte *)&root)[i]); puts("");'
        for place in BITS
    ]
    program = SOURCE.replace("*const odd", "* odd") + "int main(void) {\n"
    (path / "ask.c").write_text(program + "\n".join(offsets + masks) + "\n}\n")
    run("gcc", "-w", "ask.c", "-o", "ask", cwd=path)
    return path


@pytest.fixture(scope="module")
def btf(folder: Path) -> Btf:
    return Btf(read_section(folder / "types.o", ".BTF"), name="types")


def test_places_are_where_c_puts_them(folder: Path, btf: Btf) -> None:
    root = btf.find(k.Struct, "root").id
    told = run(folder / "ask").splitlines()[: len(PLACES)]
    assert [type_layout.place(btf, root, _path(text)).steps for text in PLACES] == [
        (Step(int(offset), False),) for offset in told
    ]


def test_bitfields_cover_the_bits_that_c_sets(folder: Path, btf: Btf) -> None:
    root = btf.find(k.Struct, "root").id
    told = run(folder / "ask").splitlines()[len(PLACES) :]
    for text, line in zip(BITS, told, strict=True):
        found = type_layout.place(btf, root, _path(text))
        assert found.bits is not None, text
        mask = ((1 << found.bits.width) - 1) << found.bits.shift
        assert mask < 1 << 8 * found.bits.unit, text
        whole = int.from_bytes(bytes.fromhex(line), "little")
        assert mask << 8 * found.steps[0].offset == whole, text


def test_pointers_are_loaded_on_the_way(btf: Btf) -> None:
    root = btf.find(k.Struct, "root").id
    offset = {
        m.name: m.bit_offset // 8 for m in type_layout.members(btf, btf.find(k.Struct, "root"))
    }
    leaf = {m.name: m.bit_offset // 8 for m in btf.find(k.Struct, "leaf").members}
    size = btf.find(k.Struct, "leaf").size

    def steps(text: str) -> tuple[Step, ...]:
        return type_layout.place(btf, root, _path(text)).steps

    assert steps("far.name") == (Step(offset["far"], False), Step(leaf["name"], True))
    assert steps("far.next.next.a") == (
        Step(offset["far"], False),
        Step(leaf["next"], True),
        Step(leaf["next"], True),
        Step(leaf["a"], True),
    )
    assert steps("far[2].name[1]") == (
        Step(offset["far"], False),
        Step(2 * size + leaf["name"] + 1, True),
    )
    assert steps("farther[1].a") == (
        Step(offset["farther"], False),
        Step(8, True),
        Step(leaf["a"], True),
    )
    assert steps("odd.a") == (Step(offset["odd"], False), Step(leaf["a"], True))


def test_a_pointer_and_an_address_start_alike(btf: Btf) -> None:
    far = type_layout.member(btf, btf.find(k.Struct, "root"), "far").type_id
    leaf = btf.find(k.Struct, "leaf").id
    for path in (["name"], ["next", "a"]):
        assert type_layout.place(btf, far, path) == type_layout.place(btf, leaf, path)
    assert type_layout.place(btf, leaf, []) == Place((Step(0, False),), leaf, None)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("leaf.nama", "'struct leaf' has no member 'nama': did you mean 'name'"),
        ("leaf.zzz", "it has 'a', 'name', 'next'"),
        ("first.x", "'byte' has no member 'x': only structs"),
        ("farther.a", r"'struct leaf \*\*' has no member 'a'"),
        ("leaf[1]", r"'struct leaf' has no element \[1\]"),
        ("hidden.x", "the kernel's types do not define it"),
    ],
)
def test_a_wrong_path_says_what_would_fit(btf: Btf, path: str, complaint: str) -> None:
    with pytest.raises(NoSuchMember, match=complaint):
        type_layout.place(btf, btf.find(k.Struct, "root").id, _path(path))


def test_structs_of_a_kernel_hold_their_members(kernel: Kernel) -> None:
    """No member starts beyond its struct."""
    btf = kernel.btf
    count = 0
    for number in range(1, len(btf), 5):
        found = btf[TypeId(number)]
        if isinstance(found, k.Struct | k.Union):
            for member in type_layout.members(btf, found):
                assert member.bit_offset + member.bit_size <= 8 * found.size, (found, member)
                count += 1
    assert count > 5_000
