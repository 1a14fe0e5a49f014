# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of modules that are not loaded, and init code that the kernel has freed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.frontend.parser import Conditions, parse
from compiler.ir import syntax
from compiler.ir.diagnostics import CompileError
from compiler.ir.hooks import Ftrace, Watchpoint
from compiler.kernel.btf import Btf
from compiler.kernel.errors import BadBtf
from compiler.kernel.symbols import Hookable, Symbols
from compiler.kernel.text_offsets import TextOffsets
from compiler.probes import Environment, kernel_point
from compiler.probes.kernel_function import resolve_module
from compiler.probes.kernel_symbols import exists
from compiler.resolve.program import resolve
from runtime.support.record import record
from tests.golden.kernel import GoldenKernel, golden_kernel

CONDITIONS = Conditions("6.1", "x86_64")
FILLERS = [f"{0xFFFFFFFF81000000 + 64 * i:016x} T filler{i}" for i in range(200)]
INIT = [
    "ffffffff82000000 T __init_begin",
    "ffffffff82000040 T vfs_init",
    "ffffffff82000080 T vfs_read",
    "ffffffff82001000 T __init_end",
]


@record
class Machine(GoldenKernel):
    """A running kernel in which ftrace reaches only functions that are loaded; `loaded`: those of the module."""

    loaded: tuple[str, ...] = ()

    @cached_property
    def symbols(self) -> Symbols:
        own = [f"ffffffffc0000000 t {name}\t[toy]" for name in self.loaded]
        data = ["ffffffffc0001000 d toy_count\t[toy]"]
        return Symbols("\n".join([*FILLERS, *INIT, *own, *data]).encode(), "a machine")

    @cached_property
    def text_offsets(self) -> TextOffsets:
        return TextOffsets.of(self.symbols, self.arch)

    @cached_property
    def hookable(self) -> Hookable:
        return Hookable(frozenset({"vfs_write", *self.loaded}), frozenset())


def machine(*loaded: str) -> Machine:
    golden = golden_kernel()
    assert isinstance(golden, GoldenKernel)
    return Machine(
        "6.1.0", ARCH, Path("/nowhere"), is_running=True, types=golden.types, loaded=loaded
    )


def components(point: str) -> tuple[syntax.Component, ...]:
    (probe,) = parse(f"probe {point} {{ }}".encode(), "x", conditions=CONDITIONS).items
    assert isinstance(probe, syntax.Probe)
    return probe.points[0].components


def test_a_loaded_module_has_the_functions_that_ftrace_reaches() -> None:
    environment = Environment(machine("toy_read", "toy_write"))
    sites = resolve_module(components('module("toy").function("toy_*")'), environment)
    assert [site.hook for site in sites] == [
        Ftrace(f"toy:{name}", functions=((f"toy:{name}", 0),)) for name in ("toy_read", "toy_write")
    ]


def test_a_module_that_is_not_loaded_has_the_functions_of_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["toy_exit", "toy_init", "toy_read"]
    monkeypatch.setattr("compiler.probes.kernel_symbols._in_file", lambda *unused: names)
    sites = resolve_module(components('module("toy").function("*")'), Environment(machine()))
    assert [site.hook.symbol for site in sites] == [f"toy:{name}" for name in names]


def test_freed_code_of_the_kernel_is_left_out_with_a_warning() -> None:
    environment = Environment(machine())
    assert kernel_point.resolve(components('kernel.function("vfs_init")'), environment) == []
    (warning,) = environment.warnings
    assert (warning.slug, warning.severity) == ("freed-function", "warning")
    assert "vfs_init" in warning.message


def compiled(text: str) -> tuple[int, Environment]:
    environment = Environment(machine())
    script = parse(text.encode(), "x.stp", conditions=CONDITIONS)
    return len(resolve("x", [script], [], environment).probes), environment


def test_the_other_probes_of_the_script_stay() -> None:
    text = 'global n probe kernel.function("vfs_init") { n++ } probe kernel.function("vfs_write") { n++ }'
    assert compiled(text)[0] == 1


def test_a_script_of_freed_functions_only_is_an_error() -> None:
    with pytest.raises(CompileError) as raised:
        compiled('global n probe kernel.function("vfs_init") { n++ }')
    (error,) = raised.value.diagnostics
    assert error.slug == "no-probe" and "freed all functions" in error.message


def test_a_variable_of_a_module_is_looked_up_in_it() -> None:
    from compiler.probes import watchpoint

    (site,) = watchpoint.resolve(
        components('kernel.data("toy_count").write'), Environment(machine())
    )
    assert site.hook == Watchpoint("toy:toy_count", 0, 1, 2)


@pytest.mark.parametrize(
    ("body", "typed"),
    [("n++", set()), ("n += $count", {"toy"}), ('n += @cast(0, "file", "toy")->f_flags', {"toy"})],
)
def test_a_script_depends_on_the_types_that_it_uses(
    body: str, typed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "module_btf", lambda self, name: self.btf)
    environment = Environment(machine("vfs_read"))
    text = f'global n probe module("toy").function("vfs_read") {{ {body} }}'
    resolve("x", [parse(text.encode(), "x.stp", conditions=CONDITIONS)], [], environment)
    assert environment.typed_modules == typed


def test_without_types_the_message_says_why_only_numbered_arguments_exist() -> None:
    with pytest.raises(CompileError) as raised:
        text = 'global n probe module("toy").function("toy_read") { n = $count + $arg1 }'
        script = parse(text.encode(), "x.stp", conditions=CONDITIONS)
        resolve("x", [script], [], Environment(machine("toy_read")))
    (error,) = raised.value.diagnostics
    assert error.slug == "unknown-context-variable"
    assert error.hint is not None
    assert error.hint.startswith("module 'toy' has no type information for it: it has $arg1, $arg2")


def test_without_types_of_the_module_the_kernels_are_found() -> None:
    """Unless the cast names the module."""

    def resolved(cast: str) -> None:
        text = f'global n probe module("toy").function("toy_read") {{ n += {cast}->f_flags }}'
        script = parse(text.encode(), "x.stp", conditions=CONDITIONS)
        resolve("x", [script], [], Environment(machine("toy_read")))

    resolved('@cast($arg1, "file")')
    with pytest.raises(CompileError, match="no module 'toy' of kernel"):
        resolved('@cast($arg1, "file", "toy")')
    with pytest.raises(CompileError, match="the kernel has no type 'toy_file'"):
        resolved('@cast($arg1, "toy_file")')


@record
class FromFiles(Machine):
    """A kernel whose modules are read from their files. `typed`: they have BTF, which lacks what the compiler
    has changed."""

    typed: bool = True

    def module_btf(self, module: str) -> Btf:
        if not self.typed:
            raise BadBtf(f"module '{module}' carries no type information")
        return self.btf

    def module_functions(self, module: str) -> frozenset[str]:
        return frozenset({"toy_changed"})


def from_files(*, typed: bool) -> FromFiles:
    golden = golden_kernel()
    assert isinstance(golden, GoldenKernel)
    return FromFiles(
        "6.1.0", ARCH, Path("/nowhere"), is_running=False, types=golden.types, typed=typed
    )


@pytest.mark.parametrize("typed", [True, False])
def test_a_function_without_type_is_found_in_the_symbol_table(typed: bool) -> None:
    kernel = from_files(typed=typed)
    assert exists(kernel, "toy_changed", "toy")
    assert not exists(kernel, "vfs_read", "toy")  # the kernel's own
