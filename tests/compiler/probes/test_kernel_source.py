# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines, inline instances and files of the kernel and of modules, by their DWARF. The kernel here is a program
with the build-id of the golden kernel, the module an object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.frontend.parser import Conditions, parse
from compiler.ir import program as p
from compiler.ir.diagnostics import CompileError
from compiler.ir.hooks import Ftrace, Hook, Kprobe
from compiler.ir.walk import walk
from compiler.kernel.symbols import Symbols
from compiler.kernel.text_offsets import TextOffsets
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.support.elf import EXECUTABLE, Elf
from compiler.userspace.program_files import Files
from runtime.support.record import record
from tests import PROJECT
from tests.golden.kernel import GoldenKernel, golden_kernel

pytest.importorskip("elftools", reason="debug information is read by pyelftools")

SOURCE = Path(__file__).with_name("kernel_lines.c")
LINES = {
    mark: 1 + next(i for i, s in enumerate(SOURCE.read_text().splitlines()) if f"/* {mark} */" in s)
    for mark in ("twice", "turn", "end", "unsafe", "init")
}
CONDITIONS = Conditions("6.1", "x86_64")
BUILD_ID = bytes(range(20)).hex()
VMLINUX = "usr/lib/debug/boot/vmlinux-6.1.0-golden"
GCC = ("gcc", "-g", "-O2", "-fno-asynchronous-unwind-tables", "-fno-pie", "-fcf-protection=none")


@record
class Machine(GoldenKernel):
    """The golden kernel with files below `root`, and offsets of the functions in its vmlinux."""

    @property
    def text_offsets(self) -> TextOffsets:
        vmlinux = self.root / VMLINUX
        if not vmlinux.is_file():
            return TextOffsets()
        elf = Elf(vmlinux.read_bytes())
        code = {i for i, s in enumerate(elf.sections) if s.flags & EXECUTABLE}
        own = {s.value: s.name for s in elf.symbols if s.section in code and s.name.isidentifier()}
        rows = [f"{0xFFFFFFFF81000000 + at:016x} T {name}" for at, name in sorted(own.items())]
        fill = [f"{0xFFFFFFFF91000000 + 64 * i:016x} T filler{i}" for i in range(200)]
        return TextOffsets.of(Symbols("\n".join([*rows, *fill]).encode(), "a machine"), self.arch)


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, timeout=60)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel with a debug file; the module `toy` in its folder, and `packed` whose debug file is separate."""
    root = tmp_path_factory.mktemp("root")
    vmlinux = root / VMLINUX
    modules = root / "lib/modules/6.1.0-golden/kernel"
    for folder in (vmlinux.parent, modules, root / "usr/lib/debug/lib/modules/6.1.0-golden/kernel"):
        folder.mkdir(parents=True)
    program = ("-static", "-nostdlib", "-Wl,-e,vfs_thing", f"-Wl,--build-id=0x{BUILD_ID}")
    run(*GCC, *program, SOURCE, "-o", vmlinux)
    toy = modules / "toy.ko"
    run(*GCC, "-c", SOURCE, "-o", toy)
    linked = root / "packed.o"
    run("ld", "-r", f"--build-id=0x{BUILD_ID[::-1]}", toy, "-o", linked)
    packed = modules / "packed.ko"
    debug = root / "usr/lib/debug/lib/modules/6.1.0-golden/kernel/packed.ko"
    run("objcopy", "--only-keep-debug", "--compress-debug-sections=zlib", linked, debug)
    run("objcopy", "--strip-debug", linked, packed)
    run("xz", "-9", packed)
    return root


def environment_of(root: Path) -> Environment:
    golden = golden_kernel()
    assert isinstance(golden, GoldenKernel)
    machine = Machine("6.1.0-golden", ARCH, root, is_running=False, types=golden.types)
    return Environment(machine, programs=Files(root))


def resolved(root: Path, text: str) -> p.Program:
    script = parse(text.encode(), "x.stp", conditions=CONDITIONS)
    return resolve("x", [script], [], environment_of(root))


def hooks(root: Path, point: str) -> list[Hook]:
    return [probe.hook for probe in resolved(root, f"global n probe {point} {{ n++ }}").probes]


def refused(root: Path, text: str) -> str:
    with pytest.raises(CompileError) as raised:
        resolved(root, text)
    (error,) = raised.value.diagnostics
    return f"[{error.slug}] {error.message}: {error.hint}"


def addresses(file: Path) -> dict[int, set[int]]:
    """Line -> the addresses at which it begins, as objdump says."""
    made = subprocess.run(
        ["objdump", "--dwarf=decodedline", file], check=True, capture_output=True, text=True
    )
    found: dict[int, set[int]] = {}
    for row in made.stdout.splitlines():
        words = row.split()
        if len(words) > 2 and words[0] == SOURCE.name and words[1].isdigit():
            found.setdefault(int(words[1]), set()).add(int(words[2], 16))
    return found


def symbol(file: Path, name: str) -> int:
    elf = Elf(file.read_bytes())
    (found,) = (s for s in elf.symbols if s.name == name)
    return found.value


def test_a_statement_of_the_kernel_is_its_distance_from_one_function(root: Path) -> None:
    vmlinux = root / VMLINUX
    known = addresses(vmlinux)
    for name, mark in (("vfs_thing", "end"), ("thing_init", "init")):
        (hook,) = hooks(root, f'kernel.statement("{name}@kernel_lines.c:{LINES[mark]}")')
        assert isinstance(hook, Kprobe) and hook.symbol == name
        assert hook.offset + symbol(vmlinux, "register_ftrace_function") in known[LINES[mark]]


@pytest.mark.parametrize("module", ["toy", "packed"])
def test_a_statement_of_a_module_is_in_one_of_its_functions(root: Path, module: str) -> None:
    """Both sections begin at 0 in the file."""
    toy = root / "lib/modules/6.1.0-golden/kernel/toy.ko"
    known = addresses(toy)
    for name, mark in (("vfs_thing", "end"), ("thing_init", "init")):
        point = f'module("{module}").statement("{name}@kernel_lines.c:{LINES[mark]}")'
        (hook,) = hooks(root, point)
        assert isinstance(hook, Kprobe) and hook.symbol == f"{module}:{name}"
        assert hook.offset + symbol(toy, name) in known[LINES[mark]]


def test_a_module_is_named_by_its_file_too(root: Path) -> None:
    point = f'statement("vfs_thing@kernel_lines.c:{LINES["end"]}")'
    toy = hooks(root, f'module("toy").{point}')
    # one of another kernel is this kernel's
    assert hooks(root, f'module("/lib/modules/5.10.0/kernel/toy.ko").{point}') == toy
    (root / "own.ko").write_bytes((root / "lib/modules/6.1.0-golden/kernel/toy.ko").read_bytes())
    (own,) = hooks(root, f'module("/own.ko").{point}')
    assert own.symbol == "own:vfs_thing" and own.own_fields() == toy[0].own_fields()


@pytest.mark.parametrize("owner", ["kernel", 'module("toy")'])
def test_inline_instances(root: Path, owner: str) -> None:
    found = hooks(root, f'{owner}.function("doubled").inline')
    assert len(found) == 2
    assert {h.symbol.rpartition(":")[2] for h in found} == {"vfs_thing"}
    script = (
        f'probe {owner}.function("doubled").inline {{ if (@defined($number)) println($number) }}'
    )
    assert len(resolved(root, script).probes) == 2


def test_every_line_of_a_function(root: Path) -> None:
    vmlinux = root / VMLINUX
    program = resolved(
        root, 'global n probe kernel.statement("vfs_thing@kernel_lines.c:*") { n[pp()]++ }'
    )
    known = {at for places in addresses(vmlinux).values() for at in places}
    anchor = symbol(vmlinux, "register_ftrace_function")
    assert len(program.probes) > 4
    for probe in program.probes:
        assert isinstance(probe.hook, Kprobe) and probe.hook.offset + anchor in known


@pytest.mark.parametrize("owner", ["kernel", 'module("toy")'])
def test_locals_are_read_in_the_kernels_memory(root: Path, owner: str) -> None:
    """A struct that BTF knows is BTF's."""
    point = f'{owner}.statement("vfs_thing@kernel_lines.c:{LINES["turn"]}")'
    program = resolved(root, f"probe {point} {{ println($sum) println($file->f_flags) }}")
    nodes = [n for probe in program.probes for s in probe.body.stmts for n in walk(s)]
    assert any(isinstance(n, p.Register) for n in nodes)
    reads = [n for n in nodes if isinstance(n, p.Deref)]
    assert reads and not any(read.user for read in reads)


def test_functions_of_files(root: Path) -> None:
    found = resolved(root, 'global n probe kernel.function("vfs_*@kernel_lines.c") { n++ }').probes
    (hook,) = (probe.hook for probe in found)
    assert isinstance(hook, Ftrace)
    vmlinux = root / VMLINUX
    distance = symbol(vmlinux, "vfs_thing") - symbol(vmlinux, "register_ftrace_function")
    assert hook.functions == (("vfs_thing", distance),)
    assert hooks(root, 'module("toy").function("vfs_*@kernel_lines.c").return')
    text = refused(root, 'probe kernel.function("vfs_*@elsewhere.c") { next }')
    assert "files are named by the ends of their paths" in text


def test_unsafe_code_is_refused(root: Path) -> None:
    point = f'kernel.statement("ftrace_caller@kernel_lines.c:{LINES["unsafe"]}")'
    text = refused(root, f"probe {point} {{ next }}")
    assert "[unsafe-function] 'ftrace_caller' cannot be probed" in text
    wild = f'kernel.statement("*@kernel_lines.c:{LINES["unsafe"]}")'
    assert "[unsafe-function]" in refused(root, f"probe {wild} {{ next }}")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('kernel.statement("vfs_thing@kernel_lines.c:9999")', "[unknown-line]"),
        ('kernel.statement("vfs_nothing@kernel_lines.c:1")', "has no function 'vfs_nothing'"),
        ('kernel.statement("vfs_thing")', "a statement is named by its line"),
        ('kernel.function("vfs_thing").inline', "the kernel has no inline instance"),
        ('kernel.statement("vfs_thing@kernel_lines.c:*").nearest', "nothing may follow here"),
        ('module("absent").statement("f@x.c:1")', "the file of module 'absent'"),
    ],
)
def test_what_is_not_there(root: Path, script: str, expected: str) -> None:
    assert expected in refused(root, f"probe {script} {{ next }}")


def test_without_debug_information_the_message_names_the_package(tmp_path: Path) -> None:
    script = 'probe kernel.statement("vfs_thing@x.c:1") { next }'
    text = refused(tmp_path, script)
    assert "[needs-debuginfo]" in text and "linux-image-6.1.0-golden-dbg" in text
    other = tmp_path / VMLINUX
    other.parent.mkdir(parents=True)
    run(*GCC, "-c", SOURCE, "-o", other)
    assert "is of another build" in refused(tmp_path, script)


def test_a_module_without_debug_information(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "lib/modules/6.1.0-golden/bare.ko"
    bare.parent.mkdir(parents=True)
    run("gcc", "-c", SOURCE, "-o", bare)
    text = refused(tmp_path, 'probe module("bare").statement("vfs_thing@x.c:1") { next }')
    assert "debug information of module 'bare'" in text and "compile it with -g" in text


def test_nothing_is_read_before_it_is_needed(root: Path) -> None:
    """A script whose words BTF answers does not import the room, although there is DWARF."""
    script = f"""
import sys
from pathlib import Path
from compiler.frontend.parser import Conditions, parse
from compiler.probes import Environment
from compiler.resolve.program import resolve
from tests.golden.kernel import golden_kernel
from runtime.support.record import replace
kernel = replace(golden_kernel(), root=Path({str(root)!r}))
for point in ("vfs_read", "vfs_r*", "vfs_read@fs/read_write.c"):
    text = 'probe kernel.function("' + point + '") {{ println(@defined($count)) }}'
    script = parse(text.encode(), "x.stp", conditions=Conditions("6.1", "x86_64"))
    resolve("x", [script], [], Environment(kernel))
sys.exit(" ".join(name for name in sys.modules if name.startswith(("compiler.dwarf", "elftools"))) or None)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
