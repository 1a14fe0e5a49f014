# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions: names to symbols, operators to typed nodes.

reads[execname()]++  -> Increment(GlobalRef("reads", (Call("execname"),)), step=1)
"""

from __future__ import annotations

from typing import assert_never, cast

from compiler import program as p
from compiler import syntax
from compiler.arrange import PRINT_KINDS
from compiler.kernel.faults import KernelFactError
from compiler.kernel.nearby import did_you_mean
from compiler.literal import place
from compiler.program import LONG, STAT, STRING
from compiler.resolve import embedded, overloads, pointees, printing, targets, writes
from compiler.resolve.facts import UNKNOWN, Symbol
from compiler.resolve.scope import GlobalSymbol, Overloads, Scope
from compiler.resolve.surroundings import walk as walk_syntax
from compiler.source import Span
from runtime.manifest import Histogram, HistogramKind, ValueType
from runtime.number import wrapped

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_LINEAR_BUCKETS = 128  # at most this many intervals, as SystemTap's MAXBUCKETS


def lower(scope: Scope, e: syntax.Expr, want: ValueType | None) -> p.Expr:
    """The typed form of an expression; `want` is a type its surroundings need, if they know."""
    match e:
        case syntax.Number():
            return p.Number(e.value, e.span)
        case syntax.String():
            return p.String(e.value, e.span)
        case syntax.Name():
            return _name(scope, e, want)
        case syntax.Index():
            return element(scope, e, want)
        case syntax.Call():
            return _call(scope, e, want)
        case syntax.Unary():
            return _unary(scope, e)
        case syntax.Increment():
            return _increment(scope, e)
        case syntax.Binary():
            return _binary(scope, e)
        case syntax.Match():
            return _match(scope, e)
        case syntax.In():
            return _in(scope, e)
        case syntax.Conditional():
            return _conditional(scope, e, want)
        case syntax.Assign():
            return assign(scope, e)
        case syntax.Extract():
            return _extract(scope, e)
        case syntax.Histogram():
            scope.facts.fault(
                "histogram-value",
                "a histogram has no value of its own",
                e.span,
                "print it, index it, or loop over it",
            )
            return p.Number(0, e.span)
        case syntax.Bucket():
            found = buckets(scope, e.histogram)
            index = scope.typed(e.index, LONG)
            return p.Bucket(found, index, e.span) if found else p.Number(0, e.span)
        case syntax.Print():
            return printing.lower_print(scope, e)
        case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
            return targets.lower_target(scope, e)
        case syntax.Defined():
            return p.Number(int(targets.is_defined(scope, e.operand)), e.span)
        case syntax.Entry():
            return _entry(scope, e)
        case syntax.AtCall():
            return _at(scope, e, want)
        case syntax.EmbeddedExpr():
            return _embedded(scope, e)
        case _:
            assert_never(e)


def _embedded(scope: Scope, e: syntax.EmbeddedExpr) -> p.Expr:
    c = embedded.inspect(e.code)
    return p.EmbeddedExpr(
        c.code,
        STRING if c.string else LONG,
        e.span,
        c.pure,
        c.fallible,
        embedded.symbols(scope, c.reads, e.span),
        embedded.symbols(scope, c.writes, e.span),
    )


# ---------------------------------------------------------------- names


def _name(scope: Scope, e: syntax.Name, want: ValueType | None) -> p.Expr:
    if e.name not in scope.parameters and e.name not in scope.locals:
        found = scope.world.find_global(e.name, scope.file)
        if found is not None:
            return _scalar(scope, found, e.span, want)
        if e.name in scope.world.functions and (*scope.key, e.name) not in scope.facts.types:
            call = syntax.Call(e.name, (), e.span, e.span)
            visible = overloads.visible(scope.world, e.name, scope.file)
            if any(not f.parameters for f in visible):
                return _call(scope, call, want)
    if want is not None and want is not STAT:
        scope.facts.learn((*scope.key, e.name), want, e.span)
    _require_known(scope, e.name, (*scope.key, e.name), e.span)
    return p.LocalRef(scope.local(e.name), e.span)


def _require_known(scope: Scope, name: str, fact: Symbol, span: Span) -> None:
    """A variable that nothing gives a type holds nothing: mostly it is another one's name misspelt."""
    if scope.facts.final and fact not in scope.facts.types:
        known = {n for _, n in scope.world.globals} | set(scope.locals) - {name}
        scope.facts.fault(
            "unresolved-type",
            f"'{name}' is used, but nothing gives it a value or a type",
            span,
            did_you_mean(name, known) or "assign to it, or give the parameter a type: name:long",
        )


def _scalar(scope: Scope, found: GlobalSymbol, span: Span, want: ValueType | None) -> p.GlobalRef:
    scope.facts.learn_arity(found.symbol, 0, span)
    fact = ("global", found.symbol)
    if want is not None:
        scope.facts.learn(fact, want, span)
    _require_known(scope, found.declared.name, fact, span)
    return p.GlobalRef(found.symbol, (), scope.facts.type_of(fact), span)


def element(scope: Scope, e: syntax.Index, want: ValueType | None) -> p.GlobalRef | p.Number:
    """`a[k, ...]`, every key a value."""
    found = array(scope, e.array)
    if found is None:
        return p.Number(0, e.span)
    keys = lower_keys(scope, found, e.keys, e.span)
    if any(k is None for k in keys):
        scope.facts.fault("slice-value", "'*' stands only in foreach, delete and 'in'", e.span)
    fact = ("global", found.symbol)
    if want is not None:
        scope.facts.learn(fact, want, e.span)
    values = tuple(k for k in keys if k is not None)
    return p.GlobalRef(found.symbol, values, scope.facts.type_of(fact), e.span)


def array(scope: Scope, name: syntax.Name) -> GlobalSymbol | None:
    """The global that is indexed here; reported if there is none of that name."""
    found = scope.world.find_global(name.name, scope.file)
    if found is None:
        known = {n for _, n in scope.world.globals}
        scope.facts.fault(
            "unknown-array",
            f"'{name.name}' is not a global array",
            name.span,
            did_you_mean(name.name, known) or f"declare it: global {name.name}",
        )
    return found


def lower_keys(
    scope: Scope, found: GlobalSymbol, keys: tuple[syntax.Key, ...], span: Span
) -> tuple[p.Expr | None, ...]:
    """Keys of an element or slice; None for `*`. Learns their number, types and likely names."""
    scope.facts.learn_arity(found.symbol, len(keys), span)
    lowered: list[p.Expr | None] = []
    for i, key in enumerate(keys):
        if isinstance(key, syntax.Wildcard):
            lowered.append(None)
            continue
        fact = ("key", found.symbol, i)
        known = scope.facts.types.get(fact)
        value = scope.expr(key, known[0] if known else None)
        if value.type is STAT:
            scope.facts.fault("type-mismatch", "a statistic cannot be a key", key.span)
        elif value.type is not None:
            scope.facts.learn(fact, value.type, key.span)
            pointees.flow(scope, key, fact)
        name = key_name(key)
        if name is not None:
            scope.facts.key_names.setdefault((found.symbol, i), name)
        lowered.append(value)
    return tuple(lowered)


def key_name(e: syntax.Expr) -> str | None:
    """What a reader would call this value: execname() -> execname, $file->f_mode -> f_mode."""
    match e:
        case syntax.Name(name=name) | syntax.TargetVar(name=name):
            return name.strip("$@") or None
        case syntax.Call(name=name, args=()):
            return name
        case syntax.Call(args=(only,)):
            return key_name(only)
        case syntax.Access(path=path) if path and isinstance(path[-1], syntax.Field):
            return path[-1].name
        case syntax.Access(base=base):
            return key_name(base)
        case syntax.Entry(operand=operand):
            return key_name(operand)
        case _:
            return None


def lvalue(scope: Scope, e: syntax.Expr, want: ValueType | None) -> p.Lvalue | p.Number:
    """What can be assigned to; a Number stands in for what was reported."""
    match e:
        case syntax.Name():
            if e.name not in scope.parameters and e.name not in scope.locals:
                found = scope.world.find_global(e.name, scope.file)
                if found is not None:
                    return _scalar(scope, found, e.span, want)
            if want is not None:
                scope.facts.learn((*scope.key, e.name), want, e.span)
            scope.assigned.add(e.name)
            return p.LocalRef(scope.local(e.name), e.span)
        case syntax.Index():
            return element(scope, e, want)
        case _:
            scope.facts.fault("not-assignable", "this cannot be assigned to", e.span)
    return p.Number(0, e.span)


# ---------------------------------------------------------------- operators


def assign(scope: Scope, e: syntax.Assign) -> p.Expr:
    """`=` and `op=`; `<<<` where a value is wanted gives what it has added."""
    if e.op == "<<<":
        stat = statistic(scope, e.target)
        added = p.LocalRef(scope.temporary(LONG), e.span)
        given = p.Assign(None, added, scope.typed(e.value, LONG), LONG, e.span)
        if stat is None:
            return p.Number(0, e.span)
        return p.After(p.Accumulate(stat, given, e.span), added, e.span)
    if isinstance(e.target, targets.Target):
        return _write(scope, e.target, e.op, e.value, e.span)
    want: ValueType | None = STRING if e.op == ".=" else LONG
    if e.op == "=":
        want = None
    target = lvalue(scope, e.target, want)
    if isinstance(target, p.Number):
        scope.expr(e.value, None)
        return target
    known = target.type if target.type is not UNKNOWN else None
    value = scope.expr(e.value, want or known)
    if value.type is None:
        scope.facts.fault("no-value", "this function returns no value", e.value.span)
        return p.Number(0, e.span)
    if want is not None:
        scope.require(value, want, e.value.span)
    elif value.type is STAT:
        scope.facts.fault("type-mismatch", "a statistic cannot be assigned", e.value.span)
    else:
        target = cast(p.Lvalue, lvalue(scope, e.target, value.type))
        pointees.flow(scope, e.value, pointees.symbol_of(scope, e.target))
    op = None if e.op == "=" else e.op[:-1]
    return p.Assign(cast("p.ArithmeticOp | None", op), target, value, target.type, e.span)


def _write(scope: Scope, target: targets.Target, op: str, value: syntax.Expr, span: Span) -> p.Expr:
    """Kernel memory or a register takes a value: guru mode."""
    if op == ".=":
        scope.facts.fault("type-mismatch", "a string is needed here, not a number", target.span)
        return p.Number(0, span)
    given = scope.typed(value, LONG)
    try:
        if op != "=":
            old = targets.load(scope, targets.place(scope, target), span)
            given = p.Arithmetic(cast(p.ArithmeticOp, op[:-1]), old, given, span)
        return writes.lower_write(scope, target, given, span)
    except (targets.Fault, KernelFactError) as fault:
        targets.report(scope, fault, target.span)
    return p.Number(0, span)


def _increment(scope: Scope, e: syntax.Increment) -> p.Expr:
    step = 1 if e.op == "++" else -1
    if isinstance(e.target, targets.Target):
        new = _write(scope, e.target, "+=", syntax.Number(step, e.span), e.span)
        return new if e.prefix else p.Arithmetic("-", new, p.Number(step, e.span), e.span)
    target = lvalue(scope, e.target, LONG)
    if isinstance(target, p.Number):
        return target
    return p.Increment(step, e.prefix, target, e.span)


def _unary(scope: Scope, e: syntax.Unary) -> p.Expr:
    operand = scope.typed(e.operand, LONG)
    if e.op == "+":
        return operand
    if e.op == "-" and isinstance(operand, p.Number):
        return p.Number(wrapped(-operand.value), e.span)
    return p.Unary(e.op, operand, e.span)


def _binary(scope: Scope, e: syntax.Binary) -> p.Expr:
    if e.op in ("&&", "||"):
        left, right = scope.typed(e.left, LONG), scope.typed(e.right, LONG)
        return p.Logical(e.op, left, right, e.span)
    if e.op == ".":
        return p.Concat(scope.typed(e.left, STRING), scope.typed(e.right, STRING), e.span)
    if e.op in _COMPARISONS:
        left, right = same_type(scope, e.left, e.right)
        return p.Compare(cast(p.CompareOp, e.op), left, right, e.span)
    left, right = scope.typed(e.left, LONG), scope.typed(e.right, LONG)
    return p.Arithmetic(cast(p.ArithmeticOp, e.op), left, right, e.span)


def same_type(
    scope: Scope, first: syntax.Expr, second: syntax.Expr, want: ValueType | None = None
) -> tuple[p.Expr, p.Expr]:
    """Two expressions that must have one type, each telling the other."""
    left = scope.expr(first, want)
    right = scope.expr(second, left.type if left.type is not UNKNOWN else want)
    if left.type is UNKNOWN and right.type is not UNKNOWN:
        left = scope.expr(first, right.type)
    if UNKNOWN not in (left.type, right.type):
        if left.type is STAT or left.type is None:
            scope.require(left, LONG, first.span)
        else:
            scope.require(right, left.type, second.span)
    return left, right


def _match(scope: Scope, e: syntax.Match) -> p.Expr:
    value = scope.typed(e.value, STRING)
    captures = scope.facts.captures
    if scope.facts.final:
        _check_pattern(scope, e.pattern, captures)
    return p.Match(value, e.pattern.value, e.negated, captures, e.span)


def _check_pattern(scope: Scope, literal: syntax.String, captures: bool) -> None:
    from compiler.regex import automaton
    from compiler.regex.pattern import PatternError
    from compiler.regex.threads import TooLargeError

    try:
        automaton.compile(literal.value, captures)
    except PatternError as error:
        where = place(literal, error.start, error.end)
        scope.facts.fault("bad-regex", error.message, where, error.hint)
    except TooLargeError:
        scope.facts.fault(
            "regex-too-large",
            "the table of this regular expression would be too large",
            literal.span,
            "repeat less, or match in two steps",
        )


def _conditional(scope: Scope, e: syntax.Conditional, want: ValueType | None) -> p.Expr:
    test = scope.typed(e.test, LONG)
    if isinstance(test, p.Number) and guards(e.test):  # must not look at what is not there
        return scope.expr(e.then if test.value else e.otherwise, want)
    then, otherwise = same_type(scope, e.then, e.otherwise, want)
    return p.Conditional(test, then, otherwise, then.type or LONG, e.span)


def guards(test: syntax.Expr) -> bool:
    """Whether a test asks what is there, so that the branch not taken may make no sense."""
    return any(isinstance(n, syntax.Defined | syntax.AtCall) for n in walk_syntax(test))


def _in(scope: Scope, e: syntax.In) -> p.Expr:
    found = array(scope, e.array)
    if found is None:
        return p.Number(0, e.span)
    return p.In(found.symbol, lower_keys(scope, found, e.keys, e.span), e.span)


# ---------------------------------------------------------------- statistics


def statistic(scope: Scope, e: syntax.Expr) -> p.GlobalRef | None:
    """The statistic that an extractor or `<<<` names."""
    found: p.Expr
    match e:
        case syntax.Name() if (symbol := scope.world.find_global(e.name, scope.file)) is not None:
            found = _scalar(scope, symbol, e.span, STAT)
        case syntax.Index():
            found = element(scope, e, STAT)
        case _:
            scope.facts.fault(
                "not-a-statistic", "a global filled with '<<<' is needed here", e.span
            )
            return None
    return found if isinstance(found, p.GlobalRef) else None


def _extract(scope: Scope, e: syntax.Extract) -> p.Expr:
    found = statistic(scope, e.stat)
    shift = 0
    for arg in e.args:
        value = scope.typed(arg, LONG)
        if not isinstance(value, p.Number) or not 0 <= value.value <= 62:
            scope.facts.fault("not-constant", "a bit shift from 0 to 62 is needed here", arg.span)
            continue
        shift = value.value
        known = scope.world.shifts.setdefault(found.name, shift) if found else shift
        if found is not None and known != shift:
            scope.facts.fault(
                "two-shifts",
                f"'{found.name}' cannot keep its variance with a bit shift of both {known} and {shift}",
                arg.span,
                "use one shift for all @variance of a statistic",
            )
    if found is None:
        return p.Number(0, e.span)
    return p.Extract(e.extractor, found, shift, e.span)


def buckets(scope: Scope, e: syntax.Histogram) -> p.Buckets | None:
    """The histogram of a statistic; noted, so that the statistic keeps its buckets."""
    found = statistic(scope, e.stat)
    numbers = []
    for arg in e.args:
        value = scope.typed(arg, LONG)
        if not isinstance(value, p.Number):
            scope.facts.fault("not-constant", "a literal number is needed here", arg.span)
            return None
        numbers.append(value.value)
    if e.kind == "log":
        shape = Histogram(HistogramKind.LOG2, 0, 128, negative=True)
    elif len(numbers) != 3:
        scope.facts.fault(
            "bad-histogram", "@hist_linear takes a statistic, low, high and interval", e.span
        )
        return None
    else:
        low, high, interval = numbers
        if interval <= 0 or high < low or (high - low) // interval >= _LINEAR_BUCKETS:
            scope.facts.fault(
                "bad-histogram",
                f"@hist_linear from {low} to {high} by {interval} makes no usable buckets",
                e.span,
                f"at most {_LINEAR_BUCKETS} intervals, low not above high",
            )
            return None
        count = (high - low) // interval + 3
        shape = Histogram(HistogramKind.LINEAR, 0, count, low=low, high=high, interval=interval)
    if found is None:
        return None
    known = scope.world.histograms.setdefault(found.name, [])
    if shape not in known:
        known.append(shape)
    if len(known) > 1:
        scope.facts.fault(
            "two-histograms",
            f"'{found.name}' cannot keep buckets of two shapes",
            e.span,
            "fill a second statistic for the other shape",
        )
    return p.Buckets(shape, found, e.span)


# ---------------------------------------------------------------- calls


def _call(scope: Scope, e: syntax.Call, want: ValueType | None) -> p.Expr:
    special = printing.lower_special(scope, e)
    if special is not None:
        return special
    found = overloads.choose(scope.world, e.name, len(e.args), scope.file)
    if found is None:
        _report_unknown(scope, e)
        for arg in e.args:
            scope.expr(arg, None)
        return p.Number(0, e.span)
    if isinstance(found.functions[0].body, syntax.EmbeddedC):
        _check_embedded(scope, e, found, want)
    site = scope.site
    if site is not None and e.name in scope.world.contextual:
        scope.is_special = True
        found = scope.world.clone(found, site)
    found = scope.world.wanted_functions.setdefault(found.symbols[0], found)
    overloads.learn_parameters(scope.world, found)
    symbol = found.symbols[0]
    args = []
    for parameter, arg in zip(found.functions[0].parameters, e.args, strict=True):
        fact = ("function", symbol, parameter.name)
        known = scope.facts.type_of(fact)
        value = scope.expr(arg, None if known is UNKNOWN else known)
        if value.type is None or value.type is STAT:
            scope.require(value, LONG, arg.span)
        else:
            scope.facts.learn(fact, value.type, arg.span)
            pointees.flow(scope, arg, fact)
        args.append(value)
    args += overloads.hidden_arguments(scope, symbol, e.span)
    return p.Call(symbol, tuple(args), _result(scope, found.result, want, e.span), e.span)


def _check_embedded(scope: Scope, e: syntax.Call, found: Overloads, want: ValueType | None) -> None:
    """C does not tell the type of its result: callers do. What is unsafe is for guru mode."""
    f = found.functions[0]
    assert isinstance(f.body, syntax.EmbeddedC)
    c = embedded.inspect(f.body.code)
    if f.type is None and c.gives:
        scope.facts.valued.add(found.result)
        if want in (LONG, STRING):
            scope.facts.learn(found.result, want, e.span)
    library = scope.file in scope.world.library_files
    if c.guru and not scope.world.environment.guru and not library:
        scope.facts.fault(
            "needs-guru-mode",
            f"{e.name}() needs guru mode",
            e.span,
            "run with -g, if you trust the script with the whole kernel",
        )


def _result(
    scope: Scope, fact: tuple[str, ...], want: ValueType | None, span: Span
) -> ValueType | None:
    if fact not in scope.facts.types and scope.facts.final:
        return LONG if fact in scope.facts.valued else None
    if want is not None and fact in scope.facts.types:
        scope.facts.learn(fact, want, span)
    return scope.facts.type_of(fact)


def _report_unknown(scope: Scope, e: syntax.Call) -> None:
    candidates = overloads.visible(scope.world, e.name, scope.file)
    if candidates:
        counts = " or ".join(map(str, sorted({len(f.parameters) for f in candidates})))
        scope.facts.fault(
            "wrong-arguments",
            f"'{e.name}' takes {counts} argument{'' if counts == '1' else 's'}, not {len(e.args)}",
            e.span,
        )
        return
    scope.facts.fault(
        "unknown-function",
        f"there is no function '{e.name}'",
        e.name_span,
        did_you_mean(e.name, (*scope.world.functions, *PRINT_KINDS)),
    )


def _entry(scope: Scope, e: syntax.Entry) -> p.Expr:
    site = scope.site
    if site is None or scope.in_function or site.hook.kind is not p.HookKind.KRETPROBE:
        scope.facts.fault(
            "entry-outside-return", "@entry stands only in a function's return probe", e.span
        )
        return p.Number(0, e.span)
    inner = Scope(scope.world, scope.key, scope.file, site, scope.lower)
    inner.in_entry = True
    inner.locals = scope.locals
    return scope.entry(inner.expr(e.operand, None), e.span)


def _at(scope: Scope, e: syntax.AtCall, want: ValueType | None) -> p.Expr:
    match e.name, e.args:
        case "choose_defined", (first, second):
            return scope.expr(first if targets.is_defined(scope, first) else second, want)
        case "const" | "enum", (syntax.String(value=name), *_):
            return _constant(scope, e, name)
        case "kderef" | "uderef", (syntax.Number(value=size), address):
            where = scope.typed(address, LONG)
            if size in (1, 2, 4, 8):
                return p.Deref(where, size, False, e.name == "uderef", e.span)
            scope.facts.fault("bad-deref", "1, 2, 4 or 8 bytes can be read", e.args[0].span)
        case "probewrite", (syntax.Name(name=name),):
            return p.Number(int(name in scope.written), e.span)
        case "probewrite", (syntax.TargetVar(name=name),):
            return p.Number(int(f"${name}" in scope.written), e.span)
        case "kregister", _:
            try:
                return writes.lower_register(scope, e)
            except targets.Fault as fault:
                targets.report(scope, fault, e.span)
        case "perf", (syntax.String(value=name),):
            scope.facts.fault(
                "unknown-counter",
                f"no probe declares a performance counter '{name}'",
                e.span,
                "counters belong to probes of user processes; 'perf stat -p PID' counts for one",
            )
        case _:
            scope.facts.fault(
                "needs-debuginfo",
                f"@{e.name} needs the probed process's debuginfo",
                e.span,
                "read arguments with $name, or user memory with user_long(address)",
            )
    return p.Number(0, e.span)


def _constant(scope: Scope, e: syntax.AtCall, name: str) -> p.Expr:
    """An enumerator by the kernel's types; @const also takes what the kernel's headers define."""
    enumerator = name.rpartition(" ")[2].rpartition(":")[2]
    try:
        return p.Number(scope.world.environment.kernel.btf.constant(enumerator), e.span)
    except KernelFactError as fault:
        if e.name == "const" and scope.world.environment.guru:
            return p.EmbeddedExpr(f"({name})", LONG, e.span, pure=True, fallible=False)
        scope.facts.fault("unknown-constant", fault.message, e.span, fault.hint)
    return p.Number(0, e.span)
