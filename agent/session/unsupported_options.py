# SPDX-License-Identifier: GPL-2.0-or-later
"""SystemTap's options that `run` does not support: each is reported with what to do instead.

stapwatch run --bpf x.stp  ->  error: --bpf is not supported: handlers run in the kernel only
"""

from __future__ import annotations

import argparse

from agent.session.hidden_options import Table, add_hidden

_SERVER = (
    "scripts are compiled on this host; modules cannot be built elsewhere yet. If this host has no"
    " compiler, run stapwatch on a host with the same kernel and its headers"
)
_KERNEL_ONLY = "handlers run in the kernel only"
_HERE = "run stapwatch on the other machine, or its agent there"
# with what to do instead of an option
INSTEAD: Table = {
    ("-a",): (1, "compile on a machine of that architecture"),
    ("-R",): (1, "the runtime is part of stapwatch"),
    ("--use-server", "--use-server-on-error", "--list-servers", "--trust-servers"): ("?", _SERVER),
    ("--remote",): (1, _HERE),
    ("--remote-prefix",): (0, _HERE),
    ("--dyninst", "--bpf"): (0, _KERNEL_ONLY),
    ("--unprivileged",): (0, "loading a module needs root"),
    ("--sysenv",): (1, "set the variable itself"),
    ("--modinfo",): (1, "the module describes itself already"),
    ("--sign-module",): ("?", "the key is named in the configuration"),
    ("--save-uprobes",): (0, "the kernel has uprobes of its own"),
    ("--target-namespaces",): (1, "pid() and tid() are those of the first namespace"),
    ("--example",): (0, "give the path of the script"),
    ("--check-version",): (0, "--compatible VERSION sets what conditionals see"),
    ("--rlimit-as", "--rlimit-cpu", "--rlimit-nproc", "--rlimit-stack", "--rlimit-fsize"): (
        1,
        "the compiler's limits are in the configuration: compile.memory and compile.timeout",
    ),
}


def add_arguments(run: argparse.ArgumentParser) -> None:
    """Add them; each is an error."""
    table = {
        options: (n, f"is not supported: {instead}") for options, (n, instead) in INSTEAD.items()
    }
    add_hidden(run, table, lambda parser, _, error: parser.error(error))
