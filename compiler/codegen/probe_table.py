# SPDX-License-Identifier: GPL-2.0-or-later
"""What the runtime reads of a script: its probes, the values its globals begin with, and the manifest.

write_tables(w, unit, target) -> static const struct sw_probe probes[] = { ... };
"""

from __future__ import annotations

from compiler.analysis import probe_conditions
from compiler.codegen import c_writer as t
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.data_layout import Layout
from compiler.codegen.handlers import paired_with
from compiler.ir import program as p
from compiler.ir.options import Limits
from compiler.ir.program import HookKind
from runtime.abi.manifest import Manifest, Probe
from runtime.support.record import record, replace


@record
class Target:
    """What the module is made for; `build_id` in bytes."""

    module: str
    identity: str
    release: str
    build_id: bytes
    version: str


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
    binaries: list[p.Binary] = []
    for probe in program.probes:
        if probe.hook.binary is not None and probe.hook.binary not in binaries:
            _write_binary(w, len(binaries), probe.hook.binary)
            binaries.append(probe.hook.binary)
    with w.block("static const struct sw_probe probes[] =", "};"):
        for i, probe in enumerate(program.probes):
            hook = probe.hook
            with w.block("", "},"):
                w.line(f".hook = SW_{hook.kind.name},")
                flags = ["OPTIONAL"] * hook.optional + ["FREQUENCY"] * hook.frequency
                flags += ["TARGET"] * hook.target + ["ENTRY"] * hook.entry
                if flags:
                    w.line(f".flags = {' | '.join(f'SW_PROBE_{flag}' for flag in flags)},")
                if hook.program:
                    w.line(f".program = {t.string(hook.program)},")
                if hook.binary is not None:
                    w.line(f".binary = &binary_{binaries.index(hook.binary)},")
                if hook.symbol:
                    w.line(f".symbol = {t.string(hook.symbol)},")
                for member in ("offset", "number", "randomize", "type", "config", "semaphore"):
                    value = getattr(hook, member)
                    if member == "number" and hook.kind is HookKind.KRETPROBE:
                        value = value or unit.options.limits.KRETACTIVE
                    if value:
                        w.line(f".{member} = {t.number(value)},")
                if hook.kind is HookKind.PAIRED:
                    w.line(f".number = {paired_with(program, probe)},")
                    continue
                if hook.functions:
                    w.line(f".functions = functions_{i},")
                    w.line(f".nr_functions = {len(hook.functions)},")
                    w.line(f".status = {statuses},")
                    statuses += len(hook.functions)
                w.line(f".handler = probe_{i},")
                if probe.entry:
                    w.line(f".entry = entry_{i},")
                    w.line(f".data_size = sizeof(struct entry_{i}),")
    w.line()
    if unit.symbols:
        with w.block("static const char *const symbol_names[] =", "};"):
            for name in unit.symbols:
                w.line(f"{t.string(name)},")
        w.line()
    digits = ", ".join(f"0x{b:02x}" for b in target.build_id)
    w.line(f"static const u8 build_id[] = {{ {digits} }};")
    w.line()
    w.line("extern const char sw_manifest[], sw_manifest_end[];")
    w.line()
    ring = unit.options.limits.RINGSIZE
    ring = 1 << max(12, (ring - 1).bit_length())
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
        w.line(f".ring_size = {ring},")
        if unit.options.limits.lock_turns != Limits().lock_turns:
            w.line(f".lock_turns = {unit.options.limits.lock_turns},")
        if any(g.g.init not in (None, 0, "") for g in unit.layout.globals.values()):
            w.line(".init = init,")
        if probe_conditions.conditions(program):
            w.line(".armed = armed,")
            w.line(".wanted = wanted,")
        if unit.symbols:
            w.line(f".nr_symbols = {len(unit.symbols)},")
            w.line(".symbols = symbol_names,")
            w.line(".addresses = symbols,")


def _write_binary(w: Writer, index: int, binary: p.Binary) -> None:
    digits = ", ".join(f"0x{b:02x}" for b in binary.content)
    w.line(f"static const u8 content_{index}[] = {{ {digits} }};")
    with w.block(f"static const struct sw_binary binary_{index} =", "};"):
        w.line(f".path = {t.string(binary.path)},")
        w.line(f".size = {binary.size},")
        w.line(f".offset = {binary.offset},")
        w.line(f".content = content_{index},")
        w.line(f".content_size = sizeof(content_{index}),")
    w.line()


def _by_offset(hook: p.Hook) -> list[tuple[str, int]]:
    """A hook's functions as the runtime wants them: of unknown place first, then in order."""
    return sorted(hook.functions, key=lambda f: (f[1] != 0, f[1], f[0]))


def manifest_of(unit: Unit, target: Target) -> Manifest:
    layout: Layout = unit.layout
    members = {member: offset for _, member, offset in layout.lane.members}
    probes = []
    for probe in unit.program.probes:
        file, line, column = probe.span.location
        hook = probe.hook.kind.name.lower()
        functions = tuple(symbol for symbol, _ in _by_offset(probe.hook))
        place = f"{file}:{line}:{column}"
        probes.append(Probe(probe.point, probe.written, hook, place, functions))
    return Manifest(
        name=unit.program.name,
        module=target.module,
        identity=target.identity,
        release=target.release,
        build_id=target.build_id.hex(),
        compiler=target.version,
        shared_size=layout.shared_size,
        lane_size=layout.lane_size,
        probe_status=0,
        probe_counts=0,
        lane_counts=members["counts"],
        probes=tuple(probes),
        tables=tuple(replace(g.table) for g in layout.globals.values()),
        prints=tuple(unit.prints),
        errors=tuple(sorted(unit.errors, key=lambda e: unit.errors[e])),
    )
