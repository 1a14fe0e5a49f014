# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of the compiler's, computed by gdb in a running program.

agrees(program, 0x1160, {"count": (<Register di>, "count")})   -> {"count": True}
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from compiler.ir import program as p

_REGISTERS = {name: f"$r{name}" for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip")}
_TYPES = {1: "char", 2: "short", 4: "int", 8: "long"}


def text(e: p.Expr) -> str:
    """An expression as gdb computes it, in 64 bits."""
    match e:
        case p.Number(value=value):
            return f"({value}L)"
        case p.Register(name=name):
            return f"((long){_REGISTERS.get(name, f'${name}')})"
        case p.ThreadPointer():
            return "((long)$fs_base)"
        case p.Unary(op=op, operand=operand):
            return f"({op}{text(operand)})"
        case p.Arithmetic(op=">>>", left=left, right=right):
            return f"((long)((unsigned long){text(left)} >> {text(right)}))"
        case p.Arithmetic(op=op, left=left, right=right) | p.Compare(op=op, left=left, right=right):
            return f"({text(left)} {op} {text(right)})"
        case p.Deref(address=address, size=size, signed=signed):
            sign = "signed" if signed else "unsigned"
            return f"((long)*({sign} {_TYPES[size]} *){text(address)})"
        case _:
            raise AssertionError(e)


def agrees(
    program: Path, address: int | str, wanted: Mapping[str, tuple[p.Expr, str]]
) -> dict[str, bool]:
    """Whether each value equals that of a C expression when the program first gets to an address; both are
    evaluated there. `address` as linked, or the name of a library's function."""
    fixed = subprocess.run(
        ["readelf", "-h", program], check=True, capture_output=True, text=True
    ).stdout
    base = "0" if "EXEC" in fixed else "((long)&main - {main})"
    if "EXEC" not in fixed:
        names = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
        found = re.search(r"([0-9a-f]+) T main$", names, re.MULTILINE)
        assert found is not None
        base = base.format(main=int(found[1], 16))
    commands = ["set width 0", "set confirm off", "starti 3"]
    if isinstance(address, str):  # main can begin when the library is loaded
        commands += ["break main", "continue", f"break *{address}", "continue"]
    else:
        commands += [f"break *({base} + {address})", "continue"]
    for name, (value, expected) in wanted.items():
        commands.append(f'printf "RESULT {name} %d\\n", {text(value)} == (long)({expected})')
    argv = ["gdb", "-nx", "-batch", *(w for c in commands for w in ("-ex", c)), str(program)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    results = dict(re.findall(r"^RESULT (\S+) (\d)$", done.stdout, re.MULTILINE))
    assert set(results) == set(wanted), done.stdout + done.stderr
    return {name: result == "1" for name, result in results.items()}
