# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts with a few tokens changed, through all of the compiler: the result must be diagnostics or C.

Accepted scripts are also compiled and run under sanitizers, some of them in `make test`, all in `make fuzz`.
A failure is shown with the fewest tokens that still fail.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence

import pytest

from compiler.frontend.lexer import KEYWORDS, OPERATORS
from compiler.ir.diagnostics import CompileError, render_all
from runtime.abi.manifest import ValueType
from tests import PROJECT
from tests.case_file import read_cases
from tests.language.case import Case, cases
from tests.language.userspace import HostedRuntime, Script, analyse, translate

COUNT = int(os.environ.get("FUZZ_PROGRAMS", "400"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
RUN = COUNT if "FUZZ_PROGRAMS" in os.environ else 40  # of the accepted ones
BATCH = 40
PART = 500  # changed scripts of one test
REGISTERS = "regs,2,3,4,5,6"  # changed scripts may probe system calls, whose argument is registers
GOLDEN = read_cases(Case, PROJECT / "tests/golden")
CASES = [
    *cases(),
    *(
        case
        for item in ("resolve", "codegen")
        for case in GOLDEN
        if case.item == item and not case.path.with_suffix(".err").exists()
    ),
]
# Not the front end's tokens: a second opinion on where they end.
TOKEN = re.compile(
    rb'%\{.*?%\}|"(?:\\.|[^"\\])*"|/\*.*?\*/|(?:#|//)[^\n]*\n?|[@$]*[A-Za-z_0-9$]+|\s+|<<<|>>>|[-+*/%&|^<>=!~.]{1,2}|.',
    re.DOTALL,
)
EXTRA = (
    *(word.encode() for word in (*KEYWORDS, *OPERATORS)),
    *(
        b"0",
        b"-1",
        b"9223372036854775807",
        b'""',
        b'"%s"',
        b"\x00",
        b"\xff\xfe",
        b"@count(s)",
        b"[*]",
    ),
    *(b"@hist_log(s)", b"$x", b"@1", b"next", b"f(", b"{", b"}", b"a[1,2]", b"@entry(1)", b"->x"),
)
TOKENS = [TOKEN.findall(case.text) for case in CASES]
POOL = [*EXTRA, *(token for tokens in TOKENS for token in tokens if token.strip())]


def kind(token: bytes) -> str:
    """The kind of a token; a token can often replace another one of its kind."""
    first = chr(token[0])
    if first.isalpha() or first in "_$@":
        return "@" if first == "@" else "keyword" if token.decode("latin-1") in KEYWORDS else "name"
    return "number" if first.isdigit() else first if first in '"#/ ' else "operator"


BY_KIND: dict[str, list[bytes]] = {}
for _token in POOL:
    BY_KIND.setdefault(kind(_token), []).append(_token)


def mutate(chance: random.Random) -> tuple[Case, list[bytes]]:
    """A script of ours with one to three changes, most of them likely to parse."""
    number = chance.randrange(len(CASES))
    tokens = list(TOKENS[number])
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(tokens)) if tokens else 0
        match chance.randrange(9):
            case 0:
                tokens[at : at + chance.randint(1, 3)] = []
            case 1:
                tokens.insert(at, chance.choice(POOL))
            case 2:
                tokens[at:at] = tokens[at : at + chance.randint(1, 8)]
            case 3:
                other = chance.randrange(len(tokens)) if tokens else 0
                tokens[at : at + 1], tokens[other : other + 1] = (
                    tokens[other : other + 1],
                    tokens[at : at + 1],
                )
            case 4 | 5:  # a name of the same script
                names = [token for token in tokens if kind(token) == "name"]
                places = [i for i, token in enumerate(tokens) if kind(token) == "name"]
                if places:
                    tokens[chance.choice(places)] = chance.choice(names)
            case _:
                places = [i for i, token in enumerate(tokens) if token.strip()]
                if places:
                    at = chance.choice(places)
                    tokens[at] = chance.choice(BY_KIND[kind(tokens[at])])
    return CASES[number], tokens


def as_script(case: Case, tokens: Sequence[bytes]) -> Script:
    made = case.script()
    return Script(
        "m",
        b"".join(tokens),
        made.args,
        made.defines,
        made.globals,
        made.guru,
        rounds=2,
        registers=REGISTERS,
    )


def crash(script: Script) -> str:
    """A failure of the compiler other than diagnostics; "" if there is none."""
    try:
        translate(script)
    except CompileError as error:
        if not error.diagnostics or "error[" not in render_all(error.diagnostics):
            return "refused without a diagnostic"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def shortest(case: Case, tokens: list[bytes], told: str) -> list[bytes]:
    """The fewest tokens that still fail in the same way."""
    sort = told.partition(":")[0]
    size = len(tokens) // 2
    while size:
        at = 0
        while at < len(tokens):
            fewer = tokens[:at] + tokens[at + size :]
            if crash(as_script(case, fewer)).startswith(sort):
                tokens = fewer
            else:
                at += size
        size //= 2
    return tokens


# the golden kernel has no symbol table: a name that @var was changed to is found missing when it is run
NOT_LOADED = re.compile(r"the process ended with 1\nno symbol '.*'\n")


def parts(count: int) -> list[tuple[int, int]]:
    """So many scripts in parts that processes can share: a number for the seed, and how many."""
    return [(start, min(PART, count - start)) for start in range(0, count, PART)]


@pytest.mark.parametrize(("number", "count"), parts(COUNT))
def test_only_diagnostics_come_out(number: int, count: int) -> None:
    chance = random.Random(SEED + number)
    for _ in range(count):
        case, tokens = mutate(chance)
        told = crash(as_script(case, tokens))
        if told:
            script = as_script(case, shortest(case, tokens, told))
            pytest.fail(f"{crash(script)}\n{script.text!r}", pytrace=False)


@pytest.mark.parametrize(("number", "count"), parts(COUNT))
def test_what_is_accepted_compiles_and_runs(number: int, count: int) -> None:
    chance = random.Random(SEED + number)
    accepted: list[Script] = []
    for _ in range(count):
        case, tokens = mutate(chance)
        script = as_script(case, tokens)
        if len(accepted) == RUN:
            break
        if b"%{" in b"".join(tokens):  # C of the script's own, which gcc may well refuse
            continue
        try:
            translate(script)
        except CompileError:
            continue
        accepted.append(script)
    with HostedRuntime.open() as hosted:
        for start in range(0, len(accepted), BATCH):
            some = accepted[start : start + BATCH]
            for script, outcome in zip(some, hosted.run(some), strict=True):
                fault = outcome.fault
                assert not fault or NOT_LOADED.fullmatch(fault), f"{script.text!r}\n{fault}"


MANY = 2000
LARGE = {
    "functions in a chain": "".join(
        f"function f{n}() {{ return f{n + 1}() }}\n" for n in range(MANY)
    )
    + "function f300() { return 1 } probe begin { println(f0()) }",
    "locals": "probe begin { " + " ".join(f"x{n} = {n}" for n in range(MANY)) + " println(x0) }",
    "globals": f"global {', '.join(f'g{n}' for n in range(MANY))} probe begin {{ g0 = 1 }}",
    "probes": "probe begin { println(1) }\n" * MANY,
    "a long literal": f'probe begin {{ x = "{"a" * 1_000_000}" println(x) }}',
    "a long sum": f"probe begin {{ println({'1 + ' * 200}1) }}",
    "a long join": f"probe begin {{ println({'s . ' * 200}s) s = 1 . 2 }}",
    "brackets": f"probe begin {{ println({'(' * 200}1{')' * 200}) }}",
    "conditions": "probe begin { " + "if (x) " * 200 + "x = 1 }",
    "blocks": "probe begin " + "{" * 200 + "x = 1" + "}" * 200,
    "keys": f"global a probe begin {{ a[{', '.join('1' * 300)}] = 1 }}",
    "elements in elements": f"global a probe begin {{ x = {'a[' * 200}1{']' * 200} a[1] = x println(x) }}",
    "arguments": f"function f({', '.join(f'x{n}' for n in range(300))}) {{ }} probe begin {{ f({', '.join('1' * 300)}) }}",
    "a wide print": f"probe begin {{ println({', '.join('1' * 500)}) }}",
    "a wide format": f'probe begin {{ printf("{"%d" * 500}", {", ".join("1" * 500)}) }}',
    "a large width": 'probe begin { printf("%999999999999d", 1) }',
    "a large array": "global a[99999999999] probe begin { a[1] = 1 }",
    "a NUL": 'probe begin { println("a\x00b") }',
    "an alias in a chain": "".join(f"probe a{n} = a{n + 1} {{ }}\n" for n in range(MANY))
    + f"probe a{MANY} = begin {{ }} probe a0 {{ println(1) }}",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_lot_of_anything(name: str) -> None:
    assert crash(Script("large", LARGE[name].encode())) == ""


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b'probe begin { println("\xc3\x28\xff") }', b"probe \xe9 { }", b"\x00"]
)
def test_bytes_that_are_no_text(text: bytes) -> None:
    assert crash(Script("bytes", text)) == ""


def test_types_go_through_a_long_chain() -> None:
    functions = "".join(f"function f{n}(x) {{ return f{n + 1}(x) }}\n" for n in range(200))
    text = f'{functions} function f200(x) {{ return x . "!" }} probe begin {{ println(f0("x")) }}'
    assert {f.result for f in analyse(Script("chain", text)).functions} == {ValueType.STRING}
