# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's aliases: each compiles for this kernel with all of its variables, and some are counted there.

aliases.txt has the names and the variables. An alias that this kernel cannot have is told with what to probe
instead (`unsupported.GONE`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compiler.driver import tapset_index
from compiler.frontend.parser import parse
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.kernel.kernel import Kernel
from compiler.probes import Environment
from compiler.probes.unsupported import ABSENT, GONE, gone
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from manual import points
from runtime.support.record import replace
from tests import PROJECT
from tests.handlers.conftest import Case, check, types_of_modules
from tests.lab_fixtures import build_trigger

TABLE = {
    name: variables.split()
    for name, _, variables in (
        line.partition(":")
        for line in (PROJECT / "tests/handlers/aliases.txt").read_text().splitlines()
        if not line.startswith("#")
    )
}
SCRIPT = "aliases.stp"
# Aliases of functions of modules, whose types their variables need.
OF_MODULES = ("nfs.", "nfsd.", "scsi.", "sunrpc.")
# What only a running kernel tells: the compiler's name of its copy of a function.
SUFFIXED = {"scheduler.cpu_on"}


def diagnostics(text: str, kernel: Kernel) -> Sequence[Diagnostic]:
    """The errors of a script that is compiled up to its program."""
    context = tapset_index.ParseContext(kernel, guru=False, compatible=None)
    files = tapset_index.needed(tapset_index.read(), [text.encode()])
    context = replace(context, macro_files=tuple(f for f in files.items() if f[0].endswith("m")))
    script = parse(
        text,
        SCRIPT,
        conditions=tapset_index.conditions(context),
        library_macros=tapset_index.public_macros(context),
    )
    library = [
        tapset_index.library_script(context, name, content, ())
        for name, content in files.items()
        if name.endswith(".stp")
    ]
    try:
        eliminate_dead_code(resolve("aliases", [script], library, Environment(kernel)))
    except CompileError as error:
        return error.diagnostics
    return ()


def test_each_alias_has_its_variables(kernel: Kernel) -> None:
    left_out = () if types_of_modules(kernel) else OF_MODULES
    names = [name for name in TABLE if not name.startswith(left_out)]
    lines = [
        f"probe {name} {{ {' '.join(f'println({v})' for v in TABLE[name])} }}" for name in names
    ]
    found = diagnostics("\n".join(lines), kernel)
    wrong = []
    for diagnostic in found:
        source, at = diagnostic.span.source, diagnostic.span.start
        name = names[source.text.count("\n", 0, at)] if source.name == SCRIPT else source.name
        if told := gone(name):
            assert told[1] in (diagnostic.hint or "")
        elif name not in SUFFIXED:
            wrong.append(f"{name}: {diagnostic.message}")
    assert wrong == []


def test_what_is_gone_names_aliases_that_there_are() -> None:
    known = {name for names in points.aliases().values() for name in names}
    for name, (_, hint) in GONE.items():
        assert name in TABLE
        assert set(re.findall(r"(?:^|\s)(?!kernel)([a-z]+(?:\.\w+)+)", hint)) <= known, name
    assert not {name.partition(".")[0] for name in TABLE} & set(ABSENT)


def scsi_debug(kernel: Kernel) -> bool:
    """Modules have type information, and one makes SCSI disks of memory."""
    return types_of_modules(kernel) and kernel.module_file("scsi_debug") is not None


MINE = "if (pid() != target()) next"
OF_RAMFS = f'{MINE} if (devname != "N/A") next'
OF_PORT = (
    'if (@cast(sk, "inet_sock")->inet_sport != htons(7777) && tcpmib_remote_port(sk) != 7777) next'
)
OF_LOOPBACK = "if (ipmib_remote_addr(skb, 0) != 0x7f000001) next"
LARGE = "->__data_len == 12288"

# aliases.c says what each trigger does
CASES = [
    Case(
        "tty",
        f"""global n
        probe tty.init {{ {MINE} n[driver_name]++ }}
        probe tty.resize {{ {MINE} n["sizes"]++ n["rows"] += new_row - old_row }}
        probe tty.receive {{ if (name =~ "^pts") n["characters"] += count }}""",
        trigger="tty",
        values={"n": {"pty_master": 1, "sizes": 3, "rows": 23, "characters": 11}},
    ),
    Case(
        "signals",
        f"""global n
        probe signal.handle.return {{ {MINE} n[name . " " . retstr]++ }}
        probe signal.check_ignored {{ {MINE} if (sig == 10 || sig == 12) n[sig_name]++ }}""",
        trigger="signals",
        values={"n": {"signal_deliver 0": 5, "SIGUSR1": 5, "SIGUSR2": 2}},
    ),
    Case(
        "files",
        f"""global n
        probe generic.fop.write_iter, generic.fop.read_iter {{ {OF_RAMFS} if (count == 4096) n[name]++ }}
        probe generic.fop.llseek {{ {OF_RAMFS} n[name] += offset }}
        probe generic.fop.mmap {{ {OF_RAMFS} n[name] += vm_end - vm_start }}
        probe generic.fop.sendfile {{ {OF_RAMFS} n[name] += count }}
        probe vfs.add_to_page_cache {{ {OF_RAMFS} if (index < 3) n[name]++ }}""",
        trigger="files",
        values={
            "n": {
                "generic.fop.write_iter": 3,
                "generic.fop.read_iter": 2,
                "generic.fop.llseek": 6,
                "generic.fop.mmap": 8192,
                "generic.fop.sendfile": 1000,
                "vfs.add_to_page_cache": 3,
            }
        },
    ),
    Case(
        "tcp",
        f"""global n
        probe tcp.ipv4.receive {{ if (syn && (sport == 7777 || dport == 7777)) n[saddr]++ }}
        probe tcp.receive {{ if (family == 10 && syn && (sport == 7777 || dport == 7777)) n[saddr]++ }}
        probe tcp.ipv4.setsockopt, tcp.ipv6.setsockopt {{ {MINE} n[sprintf("%s %d", optstr, family)]++ }}
        probe tcpmib.ActiveOpens {{ {MINE} n["active"] += op }}
        probe tcpmib.PassiveOpens {{ {OF_PORT} n["passive"] += op }}
        probe tcpmib.AttemptFails {{ if (tcpmib_remote_port(sk) == 7778) n["failed"] += op }}
        probe tcpmib.CurrEstab {{ {OF_PORT} n[op > 0 ? "established" : "over"]++ }}
        probe tcpmib.EstabResets {{ {OF_PORT} n["reset"] += op }}
        probe tcpmib.OutRsts {{ n[sk ? "aborted" : "refused"] += op }}""",
        trigger="tcp",
        values={
            "n": {
                "127.0.0.1": 4,
                "::1": 2,
                "TCP_NODELAY 2": 2,
                "TCP_NODELAY 10": 3,
                "active": 4,
                "passive": 3,
                "failed": 1,
                "established": 6,
                "over": 6,
                "reset": 2,
                "aborted": 1,
                "refused": 1,
            }
        },
    ),
    Case(
        "ip",
        f"""global n
        probe ipmib.OutRequests {{ {MINE} if (ipmib_get_proto(skb) == 17) n["out"] += op }}
        probe ipmib.FragOKs {{ {MINE} n["fragmented"] += op }}
        probe ipmib.ReasmReqds {{ {OF_LOOPBACK} n["fragments"] += op }}
        probe ipmib.InReceives {{ {OF_LOOPBACK} if (ipmib_get_proto(skb) == 17) n["in"] += op }}
        probe ipmib.InUnknownProtos {{ if (ipmib_get_proto(skb) == 253) n["unknown"] += op }}""",
        trigger="ip",
        values={"n": {"out": 4, "fragmented": 1, "fragments": 3, "in": 6, "unknown": 1}},
    ),
    Case(
        "scsi",
        f"""global n
        probe scsi.ioentry {{ if (@cast(req_addr, "request"){LARGE}) n[name]++ }}
        probe scsi.iodispatching {{ if (request_bufflen == 12288) n[name . data_direction_str]++ }}
        probe scsi.iodone {{ if (@cast(req_addr, "request"){LARGE}) n[name . device_state_str]++ }}
        probe scsi.iocompleted {{ if (goodbytes == 12288) n[name]++ }}
        probe ioscheduler_trace.elv_issue_request, ioscheduler.elv_completed_request {{
            if (disk_major == 8 && @cast(rq, "request"){LARGE}) n[name]++
        }}""",
        trigger="scsi",
        needs=scsi_debug,
        values={
            "n": {
                "scsi.ioentry": 5,
                "scsi.iodispatchingFROM_DEVICE": 5,
                "scsi.iodoneSDEV_RUNNING": 5,
                "scsi.iocompleted": 5,
                "elv_issue_request": 5,
                "elv_completed_request": 5,
            }
        },
    ),
]


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """aliases.c."""
    return build_trigger(PROJECT / "tests/handlers/aliases.c", tmp_path_factory)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
