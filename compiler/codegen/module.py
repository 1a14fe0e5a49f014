# SPDX-License-Identifier: GPL-2.0-or-later
"""One script's C file and manifest, put together.

generate(program, identity, options) -> Generated(c_text, manifest, needs_kernel_headers)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compiler import arming, traits
from compiler import program as p
from compiler.bounds import measure
from compiler.codegen import embedded
from compiler.codegen import text as t
from compiler.codegen.layout import Layout, Placed, Region, lay_out
from compiler.codegen.statements import Statements
from compiler.codegen.text import Writer
from compiler.codegen.values import Unit, Values, bucket_of
from compiler.options import Limits, Options
from compiler.program import LONG, STAT, STRING, HookKind
from compiler.storage import Access, accesses
from runtime.manifest import HistogramKind, Manifest, Probe, Storage
from runtime.record import dataclass, replace

_SIGNATURES = {
    HookKind.BEGIN: "void {name}(void)",
    HookKind.END: "void {name}(void)",
    HookKind.ERROR: "void {name}(void)",
    HookKind.TIMER_NS: "void {name}(struct sw_regs *regs)",
    HookKind.TIMER_JIFFIES: "void {name}(struct sw_regs *regs)",
    HookKind.PROFILE: "void {name}(struct sw_regs *regs)",
    HookKind.FTRACE: "void {name}(unsigned long ip, unsigned long parent_ip, void *ops,\n"
    "\t\t    struct sw_regs *regs)",
    HookKind.KPROBE: "int {name}(void *kprobe, struct sw_regs *regs)",
    HookKind.KRETPROBE: "int {name}(void *instance, struct sw_regs *regs)",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What the module is made for; `build_id` in bytes."""

    module: str
    identity: str
    release: str
    build_id: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Generated:
    c_text: str
    manifest: Manifest
    needs_kernel_headers: bool


def generate(program: p.Program, target: Target, options: Options) -> Generated:
    """The C of a program, and the manifest that goes into its module."""
    sizes = measure(program, options.limits.MAXSTRINGLEN)
    recursive = traits.recursive_functions(program.functions)
    bodies = [(probe.body.stmts, False) for probe in program.probes]
    bodies += [(traits.body_of(f), f.symbol in recursive) for f in program.functions]
    loops = [
        (n, nested)
        for stmts, nested in bodies
        for n in traits.walk(*stmts)
        if isinstance(n, p.Foreach) and n.sort is not None
    ]
    layout = lay_out(program, options, sizes, loops)
    unit = Unit(
        program,
        layout,
        sizes,
        options,
        {f.symbol: f for f in program.functions},
        frozenset(f.symbol for f in program.functions if f.pure),
        frozenset(f.symbol for f in program.functions if f.fallible),
        recursive,
        traits.paying_functions(program.functions),
    )
    functions = [_function(unit, f) for f in _callees_first(program.functions)]
    handlers = [_handler(unit, i, probe) for i, probe in enumerate(program.probes)]
    matchers = _matchers(unit)
    headers = (
        bool(program.embedded)
        or any(f.code is not None and not f.library for f in program.functions)
        or any(isinstance(n, p.EmbeddedExpr) and n.code for b, _ in bodies for n in traits.walk(*b))
    )
    w = Writer()
    _head(w, unit, target, headers)
    for code, span in program.embedded:
        file, line, _ = span.location
        embedded.user_line(w, file, line + len(code) - len(code.lstrip("\n")))
        w.lines += [*code.strip("\n").splitlines(), embedded.HERE]
        w.line()
    for placed in layout.globals.values():
        _declare(w, placed)
    _regions(w, unit)
    for placed in layout.globals.values():
        _accessors(w, placed)
    embedded.accessors(w, unit)
    w.lines += matchers
    for symbol in sorted(unit.recursive):
        w.line(f"{_function_head(unit.functions[symbol])};")
    w.line()
    if unit.symbols:
        w.line("/* Addresses of the kernel's variables, found when the module is loaded. */")
        w.line(f"static u64 symbols[{len(unit.symbols)}];")
        w.line()
    _conditions(w, unit)
    for text in (*functions, *handlers):
        w.line(text)
    _initial_values(w, unit)
    _tables(w, unit, target)
    return Generated(embedded.numbered(t.tidy(w.text())), _manifest(unit, target), headers)


def _matchers(unit: Unit) -> list[str]:
    """The functions of the regular expressions that the handlers use."""
    if not unit.regexes:
        return []
    from compiler.codegen import regexes

    groups = regexes.most_groups(unit.regexes)
    if groups:
        unit.frames.append(regexes.frame(groups))
    w = Writer()
    for (pattern, captures), number in unit.regexes.items():
        regexes.matcher(w, pattern, captures, number)
    return w.lines


# ---------------------------------------------------------------- declarations


def _head(w: Writer, unit: Unit, target: Target, headers: bool) -> None:
    limits = unit.options.limits
    w.line(f"/* {target.module}: made from {unit.program.name} by stapwatch {target.version} */")
    if headers:
        w.line("#include <stapwatch_embedded.h>")
    else:
        w.line("#include <stapwatch.h>")
    w.line()
    w.line(f"#define MAXSTRINGLEN {limits.MAXSTRINGLEN}")
    w.line(f"#define MAXNESTING {limits.MAXNESTING}")
    for name, value in unit.options.defines.items():
        w.line(f"#define {name} {value}")
    w.line()


def _declare(w: Writer, g: Placed) -> None:
    """Key, slot and row structs of one global."""
    if g.key_fields:
        with w.block(f"struct key_{g.c}", "} __aligned(8);"):
            for member in g.key_fields:
                w.line(f"{member};")
        w.line()
        with w.block(f"struct slot_{g.c}", "};"):
            w.line("struct sw_slot slot;")
            w.line(f"struct key_{g.c} key;")
        w.line()
    if g.row.fields:
        with w.block(g.row.c_type, "} __aligned(8);"):
            for member in g.row.fields:
                w.line(f"{member};")
        w.line()


def _regions(w: Writer, unit: Unit) -> None:
    layout = unit.layout
    w.line("/* What one CPU accumulates; readers map it. */")
    _struct(w, "lane", layout.lane)
    w.line("/* What all CPUs share; readers map it. */")
    _struct(w, "shared", layout.shared)
    w.line("/* One CPU's block. */")
    with w.block("struct area", "};"):
        w.line("struct sw_context c;")
        for frame in unit.frames:
            w.line(frame)
        w.line("struct lane lane __aligned(4096);")
    w.line()
    for region, struct in ((layout.lane, "lane"), (layout.shared, "shared")):
        for _, member, offset in region.members:
            w.line(f'_Static_assert(offsetof(struct {struct}, {member}) == {offset}, "{member}");')
    w.line()


def _struct(w: Writer, name: str, region: Region) -> None:
    with w.block(f"struct {name}", "};"):
        for declaration, _, _ in region.members:
            w.line(f"{declaration};")
    w.line()


def _accessors(w: Writer, g: Placed) -> None:
    """What a handler calls to update the global."""
    if g.g.type is STAT:
        _stat_accessors(w, g)
    if not g.is_array:
        return
    new, verb = ("append", "add") if g.percpu else ("insert", "put")
    parameters = f"(struct area *a, struct shared *s, const struct key_{g.c} *key)"
    about = "1 + the slot of an element, a new one zero; 0: the array is full, and it is counted."
    if g.long_keys:
        w.line(f"/* {about} */")
        w.line(f"static noinline u32 {verb}_{g.c}{parameters}")
        with w.block(""):
            w.line(f"const struct sw_array array = SW_ARRAY(s->{g.c});")
            w.line("u32 n = sw_array_find_long(&array, key);")
            w.line()
            w.line("if (likely(n))")
            w.line("\treturn n;")
            w.line(f"n = {_call_new(g, new, '&array')};")
            _new_element(w, g, "&array")
        w.line()
        return
    array = f"&SW_ARRAY(s->{g.c})"
    w.line("/* Out of line: a stack protector, if any, is paid here and not at each hit. */")
    w.line(f"static noinline u32 {new}_{g.c}{parameters}")
    with w.block(""):
        w.line(f"u32 n = {_call_new(g, new, array)};")
        w.line()
        _new_element(w, g, array)
    w.line()
    w.line(f"/* {about} */")
    w.line(f"static __always_inline u32 {verb}_{g.c}{parameters}")
    with w.block(""):
        w.line(f"u32 n = sw_array_find({array}, key);")
        w.line()
        w.line(f"return likely(n) ? n : {new}_{g.c}(a, s, key);")
    w.line()


def _call_new(g: Placed, new: str, array: str) -> str:
    last = f"&s->{g.lock}" if g.percpu else str(g.g.wrap).lower()
    return f"sw_array_{new}({array}, key, {last})"


def _new_element(w: Writer, g: Placed, array: str) -> None:
    """What follows _call_new()."""
    if g.percpu:
        w.line("if (unlikely(!n))")
        w.line(f"\ta->lane.{g.c}_dropped++;")
    else:
        with w.block("if (unlikely(!n))"):
            w.line(f"a->lane.{g.c}_dropped++;")
            w.line("return 0;")
        zero = "0" if g.g.type is LONG else f"({g.row.c_type}){{ 0 }}"
        w.line(f"s->{g.c}_values[n - 1] = {zero};")
        w.line(f"sw_array_publish({array}, n);")
    w.line("return n;")


def _stat_accessors(w: Writer, g: Placed) -> None:
    statistic = g.row.statistic
    assert statistic is not None
    histogram = statistic.histogram
    if histogram is not None and histogram.kind is HistogramKind.BOUNDS:
        bounds = ", ".join(t.number(b) for b in histogram.bounds)
        w.line(f"static const s64 bounds_{g.c}[] = {{ {bounds} }};")
        w.line()
    with w.block(f"static const struct sw_stat_layout layout_{g.c} __maybe_unused =", "};"):
        for member in ("count", "sum", "min", "max", "mean", "m2"):
            word = getattr(statistic, member)
            w.line(f".{member} = {'SW_NO_WORD' if word is None else word},")
        if histogram is not None:
            w.line(f".buckets = {histogram.word},")
            w.line(f".nr_buckets = {histogram.buckets},")
        if statistic.shift:
            w.line(f".shift = {statistic.shift},")
    w.line()
    w.line(f"static __always_inline void fill_{g.c}({g.row.c_type} *row, s64 value)")
    with w.block(""):
        if statistic.min is not None:
            w.line("if (!row->count || value < row->min)")
            w.line("\trow->min = value;")
        if statistic.max is not None:
            w.line("if (!row->count || value > row->max)")
            w.line("\trow->max = value;")
        if statistic.count is not None:
            w.line("row->count++;")
        w.line("row->sum += value;")
        if statistic.mean is not None:
            w.line(f"sw_stat_variance(&row->mean, &row->m2, row->count, value, {statistic.shift});")
        if histogram is not None:
            w.line(f"row->buckets[{bucket_of(g, 'value')}]++;")
    w.line()


# ---------------------------------------------------------------- conditions


def _conditions(w: Writer, unit: Unit) -> None:
    """A function for each condition that arms and disarms its probe, and one for them all."""
    found = arming.conditions(unit.program)
    if not found:
        return
    w.line("/* Which hooks are to be in place, as last told to the runtime. */")
    w.line(f"static u8 wanted[{len(unit.program.probes)}];")
    w.line()
    for i, condition in found.items():
        inner = Writer(depth=1)
        v = Values(unit, inner, f"armed_{i}")
        inner.line(f"return {v.value(condition)};")
        file, line, column = condition.span.location
        w.line(f"/* {file}:{line}:{column}: if (...) */")
        w.line(f"static bool armed_{i}(struct shared *s __maybe_unused)")
        with w.block(""):
            for declaration in v.temporaries:
                w.line(declaration)
            if v.temporaries:
                w.line()
            w.lines += inner.lines
        w.line()
    w.line("static bool armed(u32 probe)")
    with w.block(""), w.block("switch (probe)"):
        for i in found:
            w.line(f"case {i}:")
            w.line(f"\treturn armed_{i}(sw_shared);")
        w.line("default:")
        w.line("\treturn true;")
    w.line()


# ---------------------------------------------------------------- functions


def _callees_first(functions: Sequence[p.Function]) -> list[p.Function]:
    """C wants functions declared before they are called; recursive ones get a prototype."""
    by_symbol = {f.symbol: f for f in functions}
    done: dict[str, p.Function] = {}
    under_way: set[str] = set()

    def visit(f: p.Function) -> None:
        if f.symbol in done or f.symbol in under_way:
            return
        under_way.add(f.symbol)
        for symbol in sorted(traits.calls(traits.body_of(f))):
            visit(by_symbol[symbol])
        under_way.discard(f.symbol)
        done[f.symbol] = f

    for f in functions:
        visit(f)
    return list(done.values())


def _function(unit: Unit, f: p.Function) -> str:
    file, line, _ = f.span.location
    w = Writer()
    w.line(f"/* {file}:{line}: function {f.name} */")
    if f.code is not None:
        embedded.function(unit, w, f)
        return w.text()
    w.line(_function_head(f))
    inner = Writer(depth=1)
    v = Values(unit, inner, f.symbol)
    v.names |= {t.name(x.name) for x in f.parameters}
    s = Statements(v, result=f)
    body = f.body
    assert body is not None
    nested = f.symbol in unit.recursive
    if nested:
        inner.line("c->depth++;")
    strings = [x for x in f.parameters if x.type is STRING]
    for x in strings:
        inner.line(f"sw_copy(c, {v.local(x)}, sizeof({v.local(x)}), {t.name(x.name)}_given);")
    longs = _zero_locals(unit, v, body.locals)
    if f.symbol in unit.paying:
        s.pay(body.stmts, f.span)
    s.emit(body.stmts)
    frame = _frame(unit, v, f"fn_{t.name(f.symbol)}", (*strings, *body.locals), nested)
    with w.block(""):
        w.line("struct sw_context *c __maybe_unused = &a->c;")
        w.line("struct shared *s __maybe_unused = sw_shared;")
        if frame:
            w.line(f"{frame};")
        if f.result is LONG:
            w.line("s64 result = 0;")
        for declaration in (*longs, *v.temporaries):
            w.line(declaration)
        w.line()
        if f.result is STRING:
            w.line("result[0] = 0;")
        if nested:
            site = unit.error("MAXNESTING exceeded", f.span)
            with w.block("if (unlikely(c->depth >= MAXNESTING))"):
                w.line(f'sw_error(c, {site}, "MAXNESTING exceeded");')
                w.line("return 0;" if f.result is LONG else "return;")
        w.lines += inner.lines
        if v.uses_fail:
            w.label("fail")
        if s.uses_out:
            w.label("out")
        if nested:
            w.line("c->depth--;")
        if f.result is LONG:
            w.line("return result;")
        elif v.uses_fail or s.uses_out:
            w.line("return;")
    return w.text()


def _function_head(f: p.Function) -> str:
    parameters = ["struct area *a"]
    if f.result is STRING:
        parameters.append("char *result")
    for local in f.parameters:
        given = f"{t.name(local.name)}_given" if local.type is STRING else t.name(local.name)
        parameters.append(f"const char *{given}" if local.type is STRING else f"s64 {given}")
    result = "s64" if f.result is LONG else "void"
    return f"static {result} fn_{t.name(f.symbol)}({', '.join(parameters)})"


def _zero_locals(unit: Unit, v: Values, locals_: Sequence[p.Local]) -> list[str]:
    """Declarations of a body's numbers; its strings are emptied in the frame."""
    del unit
    declarations = []
    for local in locals_:
        v.names.add(t.name(local.name))
    for local in locals_:
        if local.type is STRING:
            v.w.line(f"{v.local(local)}[0] = 0;")
        else:
            declarations.append(f"s64 {t.name(local.name)} = 0;")
    return declarations


def _frame(
    unit: Unit, v: Values, name: str, locals_: Sequence[p.Local], nested: bool = False
) -> str:
    """Adds the body's strings to each CPU's block; gives the declaration of `f`, or ""."""
    members = [
        f"char {t.name(x.name)}[{v.local_size(x)}];" for x in locals_ if x.type is STRING
    ] + v.buffers
    if not members:
        return ""
    count = "[MAXNESTING + 1]" if nested else ""
    unit.frames.append(f"struct {{ {' '.join(members)} }} frame_{name}{count};")
    place = f"a->frame_{name}" + ("[c->depth]" if nested else "")
    return f"__typeof__({place}) *f = &{place}"


# ---------------------------------------------------------------- handlers


def _handler(unit: Unit, index: int, probe: p.Probe) -> str:
    w = Writer()
    if probe.hook.kind is HookKind.PAIRED:
        return ""
    entry = _entry_handler(unit, w, index, probe) if probe.entry else False
    file, line, column = probe.span.location
    w.line(f"/* {file}:{line}:{column}: probe {_comment(probe.written)} */")
    signature = _signature(probe, f"probe_{index}")
    w.line(f"static {signature}")
    inner = Writer(depth=1)
    v = Values(unit, inner, f"probe_{index}")
    s = Statements(v)
    longs = _zero_locals(unit, v, probe.body.locals)
    if probe.condition is not None:
        test = v.value(probe.condition)
        s.uses_out = True
        inner.line(f"if (!{test.inside(t.UNARY)})")
        inner.line("\tgoto out;")
    s.emit(probe.body.stmts)
    frame = _frame(unit, v, f"probe_{index}", probe.body.locals)
    roots = traits.roots_of(probe)
    arms = arming.changed_by(unit.program, roots)
    conditions = [unit.program.probes[i].condition for i in arms]
    locks, sequences = _locks(unit, [*roots, *(c for c in conditions if c is not None)])
    if _may_capture(unit, roots):
        inner.lines.insert(0, "\tc->match.groups = 0;")
    body = "\n".join(inner.lines)
    integer = probe.hook.kind in (HookKind.KPROBE, HookKind.KRETPROBE)
    leave = "return 0;" if integer else "return;"
    with w.block(""):
        w.line(f"struct area *a = sw_enter(offsetof(struct area, lane.probes), {index});")
        if "c->" in body or "(c" in body:
            w.line("struct sw_context *c;")
        if _names(body, "s") or locks or sequences or arms:
            w.line("struct shared *s = sw_shared;")
        if entry and "entry->" in body:
            w.line(f"const struct entry_{index} *entry = SW_RETURN_DATA(instance);")
        if frame:
            w.line(f"__typeof__(a->frame_probe_{index}) *f;")
        for declaration in (*longs, *v.temporaries):
            w.line(declaration)
        w.line()
        w.line("if (!a)")
        w.line(f"\t{leave}")
        if "c->" in body or "(c" in body:
            w.line("c = &a->c;")
        if frame:
            w.line(f"f = &a->frame_probe_{index};")
        if _needs_preparing(unit, roots, v):
            regs = "regs" if probe.hook.kind in _WITH_REGS else "NULL"
            limit = unit.options.limits.MAXACTION
            if probe.hook.kind in (HookKind.BEGIN, HookKind.END, HookKind.ERROR):
                limit = unit.options.limits.MAXACTION_INTERRUPTIBLE
            w.line(f"sw_prepare(&a->c, {index}, {limit}, {regs});")
        if probe.hook.functions and _asks_for_function(unit, roots):
            w.line("a->c.address = ip;")
        for i, lock in enumerate(locks):
            with w.block(f"if (unlikely(!sw_lock(&s->{lock})))"):
                w.line(f"a->lane.probes[{index}].skipped_lock++;")
                w.line(f"goto unlock_{i};")
        for sequence in sequences:
            w.line(f"sw_write_begin(&s->{sequence});")
        w.lines += inner.lines
        if v.uses_fail:
            w.line("goto out;")
            w.label("fail")
            w.line(f"sw_failed(&a->c, &a->lane.probes[{index}]);")
        if s.uses_out or v.uses_fail:
            w.label("out")
        for i in arms:
            w.line(f"sw_arm(&wanted[{i}], armed_{i}(s));")
        for sequence in sequences:
            w.line(f"sw_write_end(&s->{sequence});")
        for i in reversed(range(len(locks))):
            w.line(f"sw_unlock(&s->{locks[i]});")
            w.label(f"unlock_{i}")
        w.line("sw_leave(&a->c);")
        if integer:
            w.line("return 0;")
    return w.text()


_WITH_REGS = (
    HookKind.TIMER_NS, HookKind.TIMER_JIFFIES, HookKind.PROFILE, HookKind.FTRACE, HookKind.KPROBE,
    HookKind.KRETPROBE,
)  # fmt: skip


def _names(body: str, name: str) -> bool:
    """Whether C mentions a variable."""
    return re.search(rf"(?<!\w){name}->|\(a, {name},", body) is not None


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("/*", "/ *")


def _signature(probe: p.Probe, name: str) -> str:
    if probe.hook.kind is HookKind.TRACEPOINT:
        arguments = "".join(f", u64 arg{i}" for i in range(probe.hook.arguments))
        return f"void {name}(void *data{arguments})"
    return _SIGNATURES[probe.hook.kind].format(name=name)


def _needs_preparing(unit: Unit, roots: Sequence[traits.Node], v: Values) -> bool:
    """Whether the body can end in an error, print, or call what looks at the context."""
    if v.uses_fail:
        return True
    for n in traits.walk(*roots):
        if isinstance(n, p.Print | p.Try):
            return True
        if isinstance(n, p.Call):
            f = unit.functions[n.function]
            if f.code is None or not f.library or f.fallible or not f.pure:
                return True
    return False


def _asks_for_function(unit: Unit, roots: Sequence[traits.Node]) -> bool:
    """Whether a handler wants to know which of its functions was hit."""
    called = traits.reachable(roots, unit.functions)
    return any(unit.functions[symbol].name == p.PROBED_FUNCTION for symbol in called)


def _may_capture(unit: Unit, roots: Sequence[traits.Node]) -> bool:
    """Whether a handler looks at what a regular expression matched: not at an earlier handler's."""
    nodes = list(roots)
    for symbol in traits.reachable(roots, unit.functions):
        f = unit.functions[symbol]
        if f.code is not None and traits.asks_for_match(f.code):
            return True
        nodes += traits.body_of(f)
    return any(isinstance(n, p.Match) and n.captures for n in traits.walk(*nodes))


def _locks(unit: Unit, roots: Sequence[traits.Node]) -> tuple[list[str], list[str]]:
    """Locks of the shared globals that a handler touches, in the one order all handlers keep.

    And the sequences of those whose rows it may write.
    """
    nodes = list(roots)
    for symbol in traits.reachable(roots, unit.functions):
        nodes += traits.body_of(unit.functions[symbol])
    used = [use for n in nodes for use in accesses(n)]
    touched = {name for name, _ in used}
    touched |= {n.stat.name for n in traits.walk(*nodes) if isinstance(n, p.Buckets)}
    written = {name for name, access in used if access is not Access.READ}
    globals_ = unit.layout.globals
    found = [
        g.lock for name, g in globals_.items() if name in touched and g.storage is Storage.SHARED
    ]
    if any(isinstance(n, p.Foreach) and n.sort is not None for n in traits.walk(*nodes)):
        found.append("sorting")
    return found, [g.sequence for name, g in globals_.items() if name in written and g.sequence]


def _paired(program: p.Program, probe: p.Probe) -> int | None:
    """The index of the entry that a return probe counts, or of the return probe of such an entry."""
    for i, other in enumerate(program.probes):
        if other.hook.symbol == probe.hook.symbol and (
            other.counts_entry
            if probe.hook.kind is HookKind.PAIRED
            else other.hook.kind is HookKind.PAIRED
        ):
            return i
    return None


def _entry_handler(unit: Unit, w: Writer, index: int, probe: p.Probe) -> bool:
    """What a return probe saves when its function is entered."""
    inner = Writer(depth=1)
    v = Values(unit, inner, f"probe_{index}")
    with w.block(f"struct entry_{index}", "};"):
        for i, e in enumerate(probe.entry):
            if e.type is STRING:
                w.line(f"char v{i}[{unit.sizes.expr(e, v.body)}];")
            else:
                w.line(f"s64 v{i};")
    w.line()
    for i, e in enumerate(probe.entry):
        if e.type is STRING:
            v.into(e, f"entry->v{i}")
        else:
            inner.line(f"entry->v{i} = {v.value(e)};")
    frame = _frame(unit, v, f"entry_{index}", ())
    file, line, column = probe.span.location
    w.line(f"/* {file}:{line}:{column}: at the entry of {_comment(probe.point)} */")
    w.line(f"static int entry_{index}(void *instance, struct sw_regs *regs)")
    body = "\n".join(inner.lines)
    with w.block(""):
        paired = _paired(unit.program, probe) if probe.counts_entry else None
        enter = f"sw_enter{'_quietly' if paired is None else ''}"
        counted = index if paired is None else paired
        w.line(f"struct area *a = {enter}(offsetof(struct area, lane.probes), {counted});")
        w.line(f"struct entry_{index} *entry = SW_RETURN_DATA(instance);")
        if _names(body, "s"):
            w.line("struct shared *s = sw_shared;")
        if "c->" in body or "(c" in body:
            w.line("struct sw_context *c;")
        if frame:
            w.line(f"__typeof__(a->frame_entry_{index}) *f;")
        for declaration in v.temporaries:
            w.line(declaration)
        w.line()
        w.line("if (!a)")
        w.line("\treturn 1;")
        if "c->" in body or "(c" in body:
            w.line("c = &a->c;")
        if frame:
            w.line(f"f = &a->frame_entry_{index};")
        if v.uses_fail:
            limit = unit.options.limits.MAXACTION
            w.line(f"sw_prepare(&a->c, {index}, {limit}, regs);")
        w.lines += inner.lines
        w.line("sw_leave(&a->c);")
        w.line("return 0;")
        if v.uses_fail:
            w.label("fail")
            w.line(f"sw_failed(&a->c, &a->lane.probes[{index}]);")
            w.line("sw_leave(&a->c);")
            w.line("return 1;")
    w.line()
    return True


# ---------------------------------------------------------------- tables


def _initial_values(w: Writer, unit: Unit) -> None:
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


def _tables(w: Writer, unit: Unit, target: Target) -> None:
    program = unit.program
    statuses = len(program.probes)
    for i, probe in enumerate(program.probes):
        if probe.hook.functions:
            with w.block(f"static const struct sw_function functions_{i}[] =", "};"):
                for symbol, offset in _by_offset(probe.hook):
                    w.line(f"{{ {t.string(symbol)}, {t.number(offset)} }},")
            w.line()
    with w.block("static const struct sw_probe probes[] =", "};"):
        for i, probe in enumerate(program.probes):
            hook = probe.hook
            with w.block("", "},"):
                w.line(f".hook = SW_{hook.kind.name},")
                if hook.optional:
                    w.line(".flags = SW_PROBE_OPTIONAL,")
                if hook.symbol:
                    w.line(f".symbol = {t.string(hook.symbol)},")
                for member in ("offset", "number", "randomize"):
                    value = getattr(hook, member)
                    if member == "number" and hook.kind is HookKind.KRETPROBE:
                        value = value or unit.options.limits.KRETACTIVE
                    if value:
                        w.line(f".{member} = {t.number(value)},")
                if hook.kind is HookKind.PAIRED:
                    w.line(f".number = {_paired(program, probe)},")
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
        if arming.conditions(program):
            w.line(".armed = armed,")
            w.line(".wanted = wanted,")
        if unit.symbols:
            w.line(f".nr_symbols = {len(unit.symbols)},")
            w.line(".symbols = symbol_names,")
            w.line(".addresses = symbols,")


def _by_offset(hook: p.Hook) -> list[tuple[str, int]]:
    """A hook's functions as the runtime wants them: of unknown place first, then in order."""
    return sorted(hook.functions, key=lambda f: (f[1] != 0, f[1], f[0]))


def _manifest(unit: Unit, target: Target) -> Manifest:
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
