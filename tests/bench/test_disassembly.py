# SPDX-License-Identifier: GPL-2.0-or-later
"""The four commonest handlers execute no locked instruction, no trap, and write no memory that CPUs share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler.driver.compile import compile_script
from compiler.protocol import Request
from lab import Image
from tests.bench.disassembly import BLOCK, OWN, Module, Root

BENCH = Path(__file__).parent
GOLDEN = BENCH.parent / "golden/codegen"
FUNCTION = (Root("probe_0"),)
# the kernel gives both handlers of a return probe the instance of this call, with its bytes
INSTANCE = (frozenset({OWN}),)
RETURN = (Root("entry_0", INSTANCE), Root("probe_0", INSTANCE))


def module_of(source: Path, folder: Path) -> Module:
    image = Image.ensure()
    request = Request(
        name="shape",
        source=str(source),
        kernel={"root": str(image.rootfs), "release": image.release},
        cache=str(folder / "cache"),
    )
    response = compile_script(request, lambda line: None)
    assert response.ok, response.errors
    return Module(Path(response.path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("modules")


@pytest.mark.parametrize(
    ("name", "roots", "through"),
    [
        ("count", FUNCTION, {"probe_0"}),
        ("count-by-key", FUNCTION, {"probe_0"}),
        ("histogram", FUNCTION, {"probe_0"}),
        ("latency", RETURN, {"entry_0", "probe_0"}),
    ],
)
def test_a_hit_writes_only_its_own(
    name: str, roots: tuple[Root, ...], through: set[str], folder: Path
) -> None:
    module = module_of(GOLDEN / f"{name}.stp", folder)
    found = [fault for root in roots for fault in module.follow(root)]
    assert found == []
    assert module.followed >= through
    assert any(BLOCK in kinds for kinds in module.stores.values()), "it counts nothing?"


def straight(module: Module, name: str) -> list[str]:
    """The instructions of a function on the path on which no conditional jump is taken."""
    at, found = module.code[module.functions[name]], list[str]()
    while True:
        found.append(at.text)
        if at.symbol == "__x86_return_thunk" or at.text.startswith("ret"):
            return found
        assert not at.text.startswith("jmp"), found
        at = module.code[at.next]


def test_the_instructions_of_a_counting_hit(folder: Path) -> None:
    """Twelve, and three for the meter: two at the entry, and a jump at the end."""
    module = module_of(GOLDEN / "count.stp", folder)
    found = straight(module, "probe_0")
    assert len(found) == 15, found
    assert sum(text.startswith("decl") for text in found) == 3, found
    module = module_of(BENCH / "scripts/sys-enter.stp", folder)
    found = straight(module, "probe_0")
    assert len(found) == 12, "a tracepoint of 6.1 has turned preemption off"


# each must be seen, or the test above would prove nothing
SHARED = {
    "a lock": ('global n probe kernel.function("vfs_read") { n++ if (n > 5) n = 0 }', "locked"),
    "a shared number": (
        'global n probe kernel.function("vfs_read") { n = $count }',
        "stores through shared",
    ),
    "a shared element": (
        'global n probe kernel.function("vfs_read") { n[tid()] = $count }',
        "locked",
    ),
}


@pytest.mark.parametrize(("script", "told"), SHARED.values(), ids=SHARED)
def test_what_is_shared_is_seen(script: str, told: str, folder: Path) -> None:
    source = folder / "shared.stp"
    source.write_text(script)
    module = module_of(source, folder)
    found = module.follow(Root("probe_0"))
    assert any(told in fault for fault in found), found


def test_a_trap_is_seen(tmp_path: Path) -> None:
    assert assembled("int3\n ret", tmp_path) == ["probe_0+0x0: int3: a trap"]


def test_stores_are_told_by_their_base(tmp_path: Path) -> None:
    assert assembled("mov %rax, (%rsp)\n incl %gs:0\n ret", tmp_path) == []
    assert assembled("mov (%rdi), %rax\n mov %rcx, (%rax)\n ret", tmp_path) != []
    assert assembled("lock incl (%rsp)\n ret", tmp_path) == [
        "probe_0+0x0: lock incl (%rsp): locked"
    ]
    assert assembled("jmp *%rax", tmp_path) != []
    assert assembled("call elsewhere\n ret", tmp_path) != []


def assembled(text: str, folder: Path) -> list[str]:
    source, made = folder / "x.s", folder / "x.o"
    source.write_text(f".text\n.globl probe_0\n.type probe_0, @function\nprobe_0:\n {text}\n")
    subprocess.run(["as", "-o", made, source], check=True)
    return Module(made).follow(Root("probe_0"))
