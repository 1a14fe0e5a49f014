# SPDX-License-Identifier: GPL-2.0-or-later
"""The stack that generated C takes, as gcc reports it, for scripts with as much of everything as one can write."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from compiler.modbuild.kbuild_commands import MOST_FRAME
from tests.language.userspace import Script, translate
from tests.runtime.hosted.sanitized import DIALECT, FOLDERS

# as kbuild compiles for x86-64, where the frame depends on it
KERNEL_FLAGS = (
    "-O2", "-mno-sse", "-mno-red-zone", "-fno-schedule-insns2", "-fno-gcse", "-fno-tree-vectorize", "-w",
    "-fstack-usage", "-S",
    "-Wno-error=implicit-function-declaration",  # GCC 14: what embedded C calls is not declared in user space
)  # fmt: skip
READ = 'probe kernel.function("vfs_read")'


def locals_of(count: int) -> str:
    """Numbers that all live until the last statement."""
    given = "; ".join(f"v{i} = n + {i}" for i in range(count))
    return f"{given}; n = n * n; " + "; ".join(f"total += v{i} * n" for i in range(count))


def tree(depth: int) -> str:
    """Values that wait for each other: n / (1 + (n / (1 + ...)))."""
    return "n / (1 + (" * depth + "n" + "))" * depth


def chain(length: int, count: int) -> str:
    """Functions, each of which keeps its numbers while it calls the next one."""
    text = "function f0(n) { return n / global_n }\n"
    for i in range(1, length):
        given = "; ".join(f"v{j} = n / {j + 2}" for j in range(count))
        kept = "; ".join(f"r += v{j}" for j in range(count))
        text += f"function f{i}(n) {{ {given}; r = f{i - 1}(n + 1) + n; {kept}; return r }}\n"
    return text


EXTREMES = {
    "recursion": f"function f(n) {{ {locals_of(600)}; return n ? f(n - 1) + total : total }}\n"
    "probe begin { println(f(9)) }",
    "handler": f"global out {READ} {{ n = $count; {locals_of(1500)}; out = total }}",
    "handler of few": f"global out {READ} {{ n = $count; {locals_of(60)}; out = total }}",
    "return": f"global out {READ}.return {{ n = @entry($count) + $return; {locals_of(1500)}; out = total }}",
    "entry": f"global out {READ}.return {{ out = "
    + " + ".join(f"@entry($count / ({i} + $count))" for i in range(200))
    + " }",
    "tree": f"global out {READ} {{ n = $count; out = {tree(20)} }}",
    "chain": f"global global_n = 1, out {chain(40, 40)} {READ} {{ out = f39($count) }}",
    "small chain": f"global global_n = 1, out {chain(60, 2)} {READ} {{ out = f59($count) }}",
    "wide chain": f"global global_n = 1, out {chain(6, 300)} {READ} {{ out = f5($count) }}",
    "mutual": "function f(n) { " + locals_of(40) + "; return n ? g(n - 1) + total : 0 }\n"
    "function g(n) { "
    + locals_of(40)
    + "; return n ? f(n - 1) + total : 0 }\nprobe begin { println(f(9)) }",
    "parameters": f"function f({', '.join(f'p{i}' for i in range(32))}) {{ n = p0; {locals_of(60)}\n"
    + f"return total + p31 + (n ? f({', '.join(f'p{i} / n' for i in range(32))}) : 0) }}\n"
    + f"probe begin {{ n = 1; {locals_of(50)}; println(f({', '.join(f'v{i % 50} / n' for i in range(32))}), total) }}",
    "statistics": "global s, out\n"
    + f"{READ} {{ s[$count] <<< 1 }}\n"
    + "probe end { "
    + "; ".join(f"out += @avg(s[{i}]) + @max(s[{i}])" for i in range(100))
    + " }",
    "loops": "global a, out\n"
    + f"{READ} {{ a[$count]++ }}\n"
    + "probe end { "
    + "".join(f"foreach (k{i} in a limit 3) " for i in range(20))
    + "out++ }",
    "arrays": f"global a, out {READ} {{ "
    + "; ".join(f"a[$count + {i}]++" for i in range(150))
    + "; out = "
    + " + ".join(f"a[{i}]" for i in range(200))
    + " }",
    "text": f"global a {READ} {{ "
    + "; ".join(f'a[execname() . "{i}", sprint({i}), pid()]++' for i in range(100))
    + " }",
    "printing": f"{READ} {{ n = $count; {locals_of(31)}; "
    + 'printf("'
    + "%d " * 31
    + '\\n", '
    + ", ".join(f"v{i} / n" for i in range(31))
    + ") }",
    "condition": f"global n = 5, out {READ} if (({tree(20)}) > 3) {{ out++ }}",
    "embedded": """global a
        function get(k:string) %{ /* pragma:read:a pragma:write:a */
            STAP_GLOBAL_SET_a(STAP_ARG_k, STAP_ARG_k, STAP_ARG_k, STAP_ARG_k, STAP_ARG_k,
                STAP_GLOBAL_GET_a(STAP_ARG_k, STAP_ARG_k, STAP_ARG_k, STAP_ARG_k, STAP_ARG_k) + 1); %}
        probe begin { s = sprintf("%400d", 1); a[s, s, s, s, s] = 1; get(s); println(a[s, s, s, s, s]) }""",
}


def frames(name: str, folder: Path) -> dict[str, int]:
    """Bytes of each function's frame."""
    made = translate(Script("x", EXTREMES[name], guru=name == "embedded"))
    (folder / "script.c").write_text(made.c_text)
    includes = [f"-I{path}" for path in FOLDERS]
    command = ["gcc", *DIALECT, *KERNEL_FLAGS, *includes, "script.c"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    rows = re.findall(r"^\S+:(\w+)\t(\d+)\t(\S+)$", (folder / "script.su").read_text(), re.M)
    assert rows and {kind for _, _, kind in rows} <= {"static", "dynamic,bounded"}
    return {function: int(size) for function, size, _ in rows}


@pytest.mark.parametrize("name", EXTREMES)
def test_no_frame_is_large(name: str, tmp_path: Path) -> None:
    found = frames(name, tmp_path)
    assert max(found.values()) <= MOST_FRAME, found
