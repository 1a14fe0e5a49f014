# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch build -o STORE`: compile scripts for kernels that run elsewhere, into a store of modules."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, UsageError, add_command, file_error
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.prebuilt.building import Plan, Report
    from agent.prebuilt.fleet_facts import FleetKernel
    from agent.prebuilt.kernels import BuildKernel
    from agent.prebuilt.script_requests import Found

USAGE_STATUS = 2
_ABOUT = """\
Compile scripts for kernels that other machines run, and put the modules into a store: a
folder that any web server serves, and that skopeo copies to a registry (it is an OCI image
layout). Agents that have it in `modules:` load from it what their configuration asks for,
without a compiler. What the store has is not built again; the same inputs give the same
bytes, but for the serial, which is the time of a change.

A kernel is found by its release in the --sysroot folders, and then on this machine. Without
--kernel, modules are built for each kernel of these folders; without both, for the running
one. A --sysroot needs linux-image, linux-headers and gcc in it, and root to enter it.
Scripts whose `when:` excludes a kernel's release or architecture are not built for it.

FACTS is what Prometheus answers to a query for stapwatch_kernel_info:
  curl -s 'http://prometheus:9090/api/v1/query?query=stapwatch_kernel_info' >facts.json
A kernel of which only another build is here is an error: its hosts would refuse the modules.

exit status:
  0  all modules are in the store
  1  one could not be built (the others are there), or the store cannot be written or signed
  2  the command line or the configuration is wrong
"""
_EXAMPLES = (
    ("one script for the kernel that runs here", "stapwatch build vfs.stp -o store"),
    (
        "what a fleet's configuration asks for, for all kernels in folders of this machine",
        "stapwatch build --config etc --sysroot /srv/roots --index-key id_ed25519 -o store",
    ),
    (
        "for two of them",
        "stapwatch build --config etc --kernel 6.1.0-56-cloud --kernel 6.12.9 --sysroot r -o store",
    ),
    (
        "for the kernels that a fleet runs, as Prometheus knows them",
        "stapwatch build --config etc --for facts.json --sysroot /srv/roots -o store",
    ),
    (
        "packages for apt: stapwatch-modules-RELEASE",
        "stapwatch build --config etc --sysroot r --index-key id_ed25519 -o store --deb packages",
    ),
    ("to a registry", "skopeo copy --preserve-digests oci:store:TAG docker://registry/modules:TAG"),
)


@record
class BuildOptions:
    """`config`: a folder or main file; None for the default one, or for scripts that are given as files.
    `facts`: None, or Prometheus' answer."""

    kernels: tuple[str, ...]
    sysroots: tuple[Path, ...]
    facts: Path | None
    config: Path | None
    scripts: tuple[Path, ...]
    store: Path
    name: str
    builder: str
    serial: int | None
    index_key: Path | None
    sign: Path | None
    cert: Path | None
    cache: Path | None
    jobs: int
    prune: bool
    deb: Path | None
    quiet: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "build", "compile modules for other machines' kernels", _ABOUT, _EXAMPLES
    )
    add = command.add_argument
    add(
        "scripts",
        nargs="*",
        type=Path,
        metavar="SCRIPT",
        help="a file, as hosts have it in probes.d",
    )
    add("--config", type=Path, metavar="FOLDER", help=f"what hosts have as {MAIN_FILE.parent}")
    add("--kernel", action="append", default=[], dest="kernels", metavar="RELEASE")
    add("--sysroot", action="append", default=[], type=Path, dest="sysroots", metavar="FOLDER",
        help="a root folder, or a folder of root folders")  # fmt: skip
    add(
        "--for",
        type=Path,
        dest="facts",
        metavar="FACTS",
        help="a query's JSON: the kernels' releases",
    )
    add("-o", required=True, type=Path, dest="store", metavar="STORE", help="the store's folder")
    add("--index-key", type=Path, metavar="KEY", help="SSH key that signs what the store has")
    add("--sign", type=Path, metavar="KEY", help="private key that signs modules for the kernel")
    add("--cert", type=Path, metavar="CERT", help="its X.509 certificate")
    add("--name", default="stapwatch", metavar="NAME", help="the store's name, whose serials rise")
    add(
        "--builder",
        default="",
        metavar="NAME",
        help="who builds; default: release and digest of the compiler",
    )
    add("--serial", type=int, metavar="N", help="default: $SOURCE_DATE_EPOCH, or the time")
    add("--cache", type=Path, metavar="FOLDER", help="where compilers keep what they have made")
    add("--jobs", type=int, default=0, metavar="N", help="compiles at a time; default: the CPUs")
    add("--prune", action="store_true", help="remove modules that are not wanted now")
    add(
        "--deb",
        type=Path,
        metavar="FOLDER",
        help="also make a Debian package for each kernel's release, with its modules",
    )
    add("-q", "--quiet", action="store_true", help="only report what is wrong")
    return command


def parse(given: argparse.Namespace) -> BuildOptions:
    """Raises UsageError."""
    if given.scripts and given.config:
        raise UsageError("give scripts or --config: a configuration names its scripts itself")
    if (given.sign is None) != (given.cert is None):
        raise UsageError("--sign and --cert belong together: a key, and the certificate of it")
    if given.kernels and given.facts:
        raise UsageError("give --kernel or --for: facts name the kernels")
    if not given.name or "\n" in given.name:
        raise UsageError("--name must be text")
    return BuildOptions(
        tuple(given.kernels),
        tuple(given.sysroots),
        given.facts,
        given.config,
        tuple(given.scripts),
        given.store,
        given.name,
        given.builder,
        _serial(given.serial),
        given.index_key,
        given.sign,
        given.cert,
        given.cache,
        given.jobs,
        given.prune,
        given.deb,
        given.quiet,
    )


def _serial(given: int | None) -> int | None:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given is None and epoch.isdecimal():
        given = int(epoch)
    if given is not None and given < 1:
        raise UsageError("--serial must be at least 1")
    return given


def run(options: BuildOptions) -> int:
    """0 if all is in the store, 1 if something is not, 2 if the configuration is wrong."""
    from agent.config.load import ConfigError
    from agent.prebuilt.debian_package import PackageError
    from agent.prebuilt.fleet_facts import FleetFactsError
    from agent.prebuilt.kernels import KernelError
    from agent.prebuilt.script_requests import RequestError
    from agent.store.oci_layout import LayoutError
    from agent.store.signature import SignatureError

    try:
        return _build(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE_STATUS
    except (FleetFactsError, KernelError, RequestError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_STATUS
    except (LayoutError, PackageError, SignatureError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(file_error(error), file=sys.stderr)
        return 1


def _build(options: BuildOptions) -> int:
    import asyncio

    from agent.config.settings import CompileSettings
    from agent.prebuilt.building import build
    from agent.prebuilt.service_environment import service_environment
    from agent.scripts.compile_client import Compiler
    from agent.scripts.compilers import Compilers

    plan = _plan(options)
    found = _wanted(options, plan)
    kernels, problems = _kernels(options, plan)
    problems += [f"error: {text}" for text in found.problems]
    compiler = Compiler(CompileSettings(jobs=options.jobs), compilers=Compilers(chroots=True))
    with service_environment():
        report = asyncio.run(build(plan, compiler, kernels, found.wanted, _say(options.quiet)))
    for text in (*problems, *report.errors):
        print(text, file=sys.stderr)
    _sum_up(options, report, kernels)
    if options.deb is not None:
        _packages(options, plan, kernels)
    return 1 if problems or report.errors else 0


def _say(is_quiet: bool) -> Callable[[str], None]:
    """What tells of progress."""
    return (lambda text: None) if is_quiet else lambda text: print(text, file=sys.stderr)


def _plan(options: BuildOptions) -> Plan:
    """The paths are absolute: compilers run elsewhere."""
    from agent.prebuilt.building import Plan
    from agent.session.compile_request import cache_folder
    from agent.signing.key_files import KeyPair

    key = None
    if options.sign is not None and options.cert is not None:
        key = KeyPair(options.sign.absolute(), options.cert.absolute())
    return Plan(
        options.store.absolute(),
        (options.cache or cache_folder()).absolute(),
        options.name,
        options.builder,
        options.serial,
        options.index_key.expanduser().absolute() if options.index_key else None,
        key,
        options.prune,
    )


def _wanted(options: BuildOptions, plan: Plan) -> Found:
    from agent.prebuilt import script_requests

    if options.scripts:
        return script_requests.of_files(options.scripts, plan.cache)
    return script_requests.of_config(options.config or MAIN_FILE.parent, plan.cache)


def _kernels(options: BuildOptions, plan: Plan) -> tuple[list[BuildKernel], list[str]]:
    """The kernels, and what is wrong with others."""
    from agent.prebuilt import fleet_facts, kernels

    cache, here = plan.cache / "kernels", os.uname().machine
    if options.facts is None:
        found, problems = kernels.find(options.kernels, options.sysroots, cache)
    else:
        fleet = fleet_facts.read(options.facts)
        mine = [kernel for kernel in fleet if kernel.architecture in ("", here)]
        problems = [
            f"kernel {kernel.release} ({_hosts(kernel)}) is for {kernel.architecture}, and this "
            f"machine is {here}: build on such a machine"
            for kernel in fleet
            if kernel not in mine
        ]
        found, missing = [], list[str]()
        if mine:
            releases = [kernel.release for kernel in mine]
            found, missing = kernels.find(releases, options.sysroots, cache)
        problems += [*missing, *_other_builds(mine, found)]
    return found, [f"error: {text}" for text in problems]


def _other_builds(fleet: list[FleetKernel], found: list[BuildKernel]) -> list[str]:
    """Kernels of hosts of which only another build is here, whose modules those hosts refuse."""
    texts = []
    for kernel in fleet:
        here = [one.build_id for one in found if one.release == kernel.release]
        if kernel.build_id and here and kernel.build_id not in here:
            texts.append(
                f"kernel {kernel.release} ({_hosts(kernel)}) has the build-id {kernel.build_id}, and here is "
                f"{', '.join(here)}: install that build of it, in one more --sysroot"
            )
    return texts


def _hosts(kernel: FleetKernel) -> str:
    return f"{kernel.hosts} host{'' if kernel.hosts == 1 else 's'}"


def _packages(options: BuildOptions, plan: Plan, kernels: list[BuildKernel]) -> None:
    """Raises PackageError, LayoutError, OSError."""
    from agent.prebuilt import debian_package

    assert options.deb is not None
    for release in dict.fromkeys(kernel.release for kernel in kernels):
        made = debian_package.pack(plan.store, release, options.deb.absolute())
        if not options.quiet:
            print(f"{made}: {made.stat().st_size / (1 << 20):.1f} MiB")


def _sum_up(options: BuildOptions, report: Report, kernels: list[BuildKernel]) -> None:
    if not report.is_signed:
        print(
            "warning: the store is not signed, and agents refuse it; give --index-key",
            file=sys.stderr,
        )
    if not options.quiet:
        number = f"{len(kernels)} kernel{'' if len(kernels) == 1 else 's'}"
        print(
            f"{options.store}: {report.modules} modules for {number}, "
            f"{report.size / (1 << 20):.1f} MiB; new: {report.made}"
        )
