# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables that the runtime reads: the script's probes, its globals' initial values, and the manifest.

write_tables(w, unit, target) -> static const struct sw_probe probes[] = { ... };
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from compiler.analysis import probe_conditions
from compiler.codegen import c_writer as t
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.data_layout import Layout
from compiler.codegen.handlers import paired_with
from compiler.ir import hooks
from compiler.ir import program as p
from compiler.ir.options import Limits
from compiler.ir.source import exact
from compiler.ir.walk import body_of, reachable, roots_of, walk
from runtime.abi.manifest import EXPONENTIAL_FORMAT, HistogramKind, Manifest, Probe
from runtime.support.record import record, replace

if TYPE_CHECKING:
    from compiler.codegen.unwind_tables import UnwindTable


@record
class ModuleTypes:
    """The types of one of the kernel's modules, by the size and the Adler-32 checksum of its BTF."""

    module: str
    size: int
    checksum: int


@record
class Target:
    """A module's name and identity, and the kernel that it is made for; `build_id` in bytes. `modules`: those
    of the kernel's whose types it uses. `unwind`: for the stacks of programs."""

    module: str
    identity: str
    release: str
    build_id: bytes
    compiler: str
    modules: tuple[ModuleTypes, ...] = ()
    unwind: tuple[UnwindTable, ...] = ()


def initial_values(w: Writer, unit: Unit) -> None:
    found = [g for g in unit.layout.globals.values() if g.g.init not in (None, 0, "")]
    if not found:
        return
    w.line("static void init(void *shared)")
    with w.block(""):
        w.line("struct shared *s __maybe_unused = shared;")
        if any(g.percpu for g in found):
            w.line("struct area *a = sw_lane_areas[0];")
        w.line()
        for g in found:
            place = f"a->lane.{g.c}" if g.percpu else f"s->{g.c}"
            if isinstance(g.g.init, str):
                literal = t.string(g.g.init)
                w.line(f"__builtin_memcpy({place}.value, {literal}, sizeof({literal}));")
            elif isinstance(g.g.init, int):
                w.line(f"{place} = {t.number(g.g.init)};")
    w.line()


def write_tables(w: Writer, unit: Unit, target: Target) -> None:
    program = unit.program
    statuses = len(program.probes)
    for i, probe in enumerate(program.probes):
        if probe.hook.functions:
            with w.block(f"static const struct sw_function functions_{i}[] =", "};"):
                for symbol, offset in _by_offset(probe.hook):
                    w.line(f"{{ {t.string(symbol)}, {t.number(offset)} }},")
            w.line()
    binaries = _write_binaries(w, program)
    with w.block("static const struct sw_probe probes[] =", "};"):
        for i, probe in enumerate(program.probes):
            with w.block("", "},"):
                _write_probe(w, unit, i, probe, binaries)
                if probe.hook.functions:
                    w.line(f".functions = functions_{i},")
                    w.line(f".nr_functions = {len(probe.hook.functions)},")
                    w.line(f".status = {statuses},")
                    statuses += len(probe.hook.functions)
    w.line()
    if unit.symbols:
        with w.block("static const char *const symbol_names[] =", "};"):
            for name in unit.symbols:
                w.line(f"{t.string(name)},")
        w.line()
    if target.modules:
        with w.block("static const struct sw_module_types module_types[] =", "};"):
            for m in target.modules:
                w.line(f"{{ {t.string(m.module)}, {m.size}, {m.checksum:#x} }},")
        w.line()
    if target.unwind:
        from compiler.codegen import unwind_tables

        unwind_tables.write(w, target.unwind)
    digits = ", ".join(f"0x{b:02x}" for b in target.build_id)
    w.line(f"static const u8 build_id[] = {{ {digits} }};")
    w.line()
    w.line("extern const char sw_manifest[], sw_manifest_end[];")
    w.line()
    with w.block("const struct sw_script sw_script =", "};"):
        w.line(f".name = {t.string(target.module)},")
        w.line(".build_id = build_id,")
        w.line(".build_id_size = sizeof(build_id),")
        w.line(f".nr_probes = {len(program.probes)},")
        w.line(".probes = probes,")
        w.line(".manifest = sw_manifest,")
        w.line(".manifest_end = sw_manifest_end,")
        w.line(".area_size = sizeof(struct area),")
        w.line(".lane_offset = offsetof(struct area, lane),")
        w.line(".lane_size = sizeof(struct lane),")
        w.line(".probe_counts = offsetof(struct lane, probes),")
        w.line(".lane_counts = offsetof(struct lane, counts),")
        w.line(".shared_size = sizeof(struct shared),")
        w.line(".probe_status = offsetof(struct shared, probes),")
        w.line(f".nr_statuses = {statuses},")
        w.line(f".ring_size = {_ring_size(unit)},")
        if unit.options.limits.lock_turns != Limits().lock_turns:
            w.line(f".lock_turns = {unit.options.limits.lock_turns},")
        if unit.options.limits.MAXTIME != Limits().MAXTIME:
            w.line(f".max_time = {unit.options.limits.most_ns}ull,")
        if any(g.g.init not in (None, 0, "") for g in unit.layout.globals.values()):
            w.line(".init = init,")
        if probe_conditions.conditions(program):
            w.line(".armed = armed,")
            w.line(".wanted = wanted,")
        if unit.symbols:
            w.line(f".nr_symbols = {len(unit.symbols)},")
            w.line(".symbols = symbol_names,")
            w.line(".addresses = symbols,")
        if target.modules:
            w.line(f".nr_module_types = {len(target.modules)},")
            w.line(".module_types = module_types,")
        if target.unwind:
            w.line(f".nr_unwind = {len(target.unwind)},")
            w.line(".unwind = unwind,")


def _write_probe(
    w: Writer, unit: Unit, index: int, probe: p.Probe, binaries: Sequence[hooks.Binary]
) -> None:
    """The members that every kind has, then the kind's own member of the union."""
    hook = probe.hook
    w.line(f".hook = SW_{hook.word},")
    flags = ["OPTIONAL"] * probe.optional
    flags += ["ENTRY"] * (isinstance(hook, hooks.Uprobe) and hook.at_entry)
    flags += ["EMBEDDED"] * (isinstance(hook, hooks.Netfilter) and _runs_own_c(unit, probe))
    if flags:
        w.line(f".flags = {' | '.join(f'SW_PROBE_{flag}' for flag in flags)},")
    if hook.symbol:
        w.line(f".symbol = {t.string(hook.symbol)},")
    if hook.handler is not hooks.NONE:
        w.line(f".handler = probe_{index},")
    if rest := unit.rest_of_actions.get(index):
        w.line(f".actions = {rest},")
    if isinstance(hook, hooks.ProgramHook):
        w.line(f".processes = &(const struct sw_processes){_processes(hook, binaries)},")
    own = _own_members(unit, index, probe)
    if own:
        w.line(f".{hook.member} = {_initializer(own)},")


def _runs_own_c(unit: Unit, probe: p.Probe) -> bool:
    """Whether a handler may run C that the script's author has written."""
    roots = roots_of(probe)
    own = [unit.functions[symbol] for symbol in reachable(roots, unit.functions)]
    own = [f for f in own if not f.library]
    nodes = walk(*roots, *(s for f in own for s in body_of(f)))
    return any(f.code is not None for f in own) or any(isinstance(n, p.EmbeddedExpr) for n in nodes)


def _own_members(unit: Unit, index: int, probe: p.Probe) -> dict[str, str]:
    found = {name: t.number(value) for name, value in probe.hook.own_fields().items()}
    match probe.hook:
        case hooks.Kretprobe() | hooks.Uretprobe():
            maxactive = probe.hook.maxactive or unit.options.limits.KRETACTIVE
            if maxactive:
                found["maxactive"] = t.number(maxactive)
            if probe.entry:
                found["entry"] = f"entry_{index}"
                found["data_size"] = f"sizeof(struct entry_{index})"
        case hooks.PairedEntry():
            found["kretprobe"] = str(paired_with(unit.program, probe))
        case _:
            pass
    return found


def _processes(hook: hooks.ProgramHook, binaries: Sequence[hooks.Binary]) -> str:
    """The initializer of a hook's `struct sw_processes`."""
    found = {}
    if hook.processes.program:
        found["program"] = t.string(hook.processes.program)
    if hook.processes.pid:
        found["pid"] = t.number(hook.processes.pid)
    if hook.processes.target:
        found["target"] = "1"
    if isinstance(hook, hooks.FileHook):
        found["binary"] = f"&binary_{binaries.index(hook.binary)}"
    return _initializer(found)


def _initializer(members: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'.{name} = {value}' for name, value in members.items()) or '0'} }}"


def _write_binaries(w: Writer, program: p.Program) -> list[hooks.Binary]:
    """Each file that probes are in, once."""
    found: list[hooks.Binary] = []
    for probe in program.probes:
        if isinstance(probe.hook, hooks.FileHook) and probe.hook.binary not in found:
            _write_binary(w, len(found), probe.hook.binary)
            found.append(probe.hook.binary)
    return found


def _write_binary(w: Writer, index: int, binary: hooks.Binary) -> None:
    digits = ", ".join(f"0x{b:02x}" for b in binary.content)
    w.line(f"static const u8 content_{index}[] = {{ {digits} }};")
    with w.block(f"static const struct sw_binary binary_{index} =", "};"):
        w.line(f".path = {t.string(binary.path)},")
        w.line(f".size = {binary.size},")
        w.line(f".offset = {binary.offset},")
        w.line(f".content = content_{index},")
        w.line(f".content_size = sizeof(content_{index}),")
    w.line()


def _by_offset(hook: hooks.Hook) -> list[tuple[str, int]]:
    """A hook's functions as the runtime needs them: those of unknown offset first, then by offset."""
    return sorted(hook.functions, key=lambda f: (f[1] != 0, f[1], f[0]))


def manifest_of(unit: Unit, target: Target) -> Manifest:
    layout: Layout = unit.layout
    members = {member: offset for _, member, offset in layout.lane.members}
    probes = []
    for probe in unit.program.probes:
        file, line, column = probe.span.location
        hook = probe.hook.word.lower()
        functions = tuple(symbol for symbol, _ in _by_offset(probe.hook))
        place = f"{file}:{line}:{column}"
        probes.append(Probe(exact(probe.point), exact(probe.written), hook, place, functions))
    return Manifest(
        name=unit.program.name,
        module=target.module,
        identity=target.identity,
        release=target.release,
        build_id=target.build_id.hex(),
        compiler=target.compiler,
        shared_size=layout.shared_size,
        lane_size=layout.lane_size,
        probe_status=0,
        probe_counts=0,
        lane_counts=members["counts"],
        probes=tuple(probes),
        tables=tuple(replace(g.table) for g in layout.globals.values()),
        prints=tuple(unit.prints),
        errors=tuple(site.told() for site in unit.errors.sites),
        ring_size=_ring_size(unit),
        needs=_needed_format(layout),
    )


def _needed_format(layout: Layout) -> int | None:
    """Older readers know no exponential buckets. Those that are kept separately are nothing to them."""
    found = (g.row.statistic.histogram for g in layout.globals.values() if g.row.statistic)
    kinds = {histogram.kind for histogram in found if histogram is not None}
    return EXPONENTIAL_FORMAT if HistogramKind.EXPONENTIAL in kinds else None


def _ring_size(unit: Unit) -> int:
    """A power of two."""
    return 1 << max(12, (unit.options.limits.RINGSIZE - 1).bit_length())
