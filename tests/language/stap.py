# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's stap as a reference: whether it accepts a script, and the types that it infers.

    Stap.find().judge(Script("x", "probe begin { l = 1 println(l) }"))
      -> Verdict(accepted=True, types=Types(probes=(("begin", frozenset({"l:long"})),), ...))

find() is this machine's; newest() is that of the lab's guest that the bench compares with, run natively by the
guest's own dynamic linker, so it needs no privilege and changes nothing there.

It needs no kernel for parsing, nor for probes of begin, end, error and timers: a folder that looks like a
kernel's build tree is enough. A start takes a quarter of a second, so verdicts are cached outside of this
tree, with all that they depend on as the key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.host import cache_root
from tests.language.userspace import Script

RELEASE = "6.1.0-13-amd64"  # as userspace.conditions() has it
CONFIG = "CONFIG_SMP=y\nCONFIG_HZ=250\nCONFIG_E1000=m\n"
NO_STAP = "stap is not installed (Debian's package systemtap)"
NO_NEWEST = "there is no guest with the newest stap (make bench builds it)"
NEWEST = "5.6"  # the release whose verdicts are recorded
_DECORATION = re.compile(r"(?: if \(.*\)|[?!])+$")  # suffixes of a probe point


@dataclass(frozen=True, slots=True)
class Types:
    """Types as `name:type`, followed by keys and parameters; `unknown` where stap infers none."""

    globals: frozenset[str]
    functions: tuple[tuple[str, frozenset[str]], ...]  # signature, locals; sorted
    probes: tuple[tuple[str, frozenset[str]], ...]  # point, locals; sorted


@dataclass(frozen=True, slots=True)
class Verdict:
    accepted: bool
    output: str  # of -p1 or -p2
    complaint: str

    @property
    def types(self) -> Types:
        """The types in the output of -p2."""
        return parse_types(self.output)


def parse_types(listing: str) -> Types:
    """The sections of -p2's listing."""
    section, globals_ = "", set()
    rows: dict[str, list[tuple[str, set[str]]]] = {"# functions": [], "# probes": []}
    skipping = False
    for line in listing.splitlines():
        if line in ("%{", "%}"):
            skipping = line == "%{"
        elif skipping or not line:
            continue
        elif line.startswith("# "):
            section = line
        elif section == "# globals":
            globals_.add(line)
        elif line == "  # locals":
            continue
        elif line.startswith("  "):
            rows[section][-1][1].add(line.strip())
        elif section in rows:
            point = line.partition(" /* <- ")[0]
            rows[section].append((_DECORATION.sub("", point), set()))
    functions, probes = (
        tuple(sorted((name, frozenset(locals_)) for name, locals_ in rows[s])) for s in rows
    )
    return Types(frozenset(globals_), functions, probes)


class Stap:
    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = tuple(command)
        self._environment = environment or {}
        self._verdicts = folder / "verdicts"
        self._kernel = folder / "kernel"
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
        self.version = (done.stdout + done.stderr).splitlines()[0]
        self._verdicts.mkdir(parents=True, exist_ok=True)
        _make_kernel(self._kernel)

    @classmethod
    def find(cls) -> Stap | None:
        program = shutil.which("stap")
        return cls([program], _folder()) if program else None

    @classmethod
    def newest(cls) -> Stap | None:
        """The stap of release NEWEST, from the root folder of a guest."""
        for root in sorted((cache_root() / "images").glob("*+systemtap*/rootfs")):
            libraries = root / "usr/lib/x86_64-linux-gnu"
            loader, program = root / "usr/lib64/ld-linux-x86-64.so.2", root / "usr/bin/stap"
            if not (loader.exists() and program.exists()):
                continue
            path = f"{libraries}:{libraries}/systemtap"
            environment = {
                f"SYSTEMTAP_{name.upper()}": str(root / "usr/share/systemtap" / name)
                for name in ("tapset", "runtime")
            }
            command = (str(loader), "--library-path", path, str(program))
            found = cls(command, _folder(), environment)
            if f"version {NEWEST}" in found.version:
                return found
        return None

    def judge(self, script: Script, last_pass: int = 2) -> Verdict:
        """stap's verdict on a script, without optimisation."""
        text = script.text if isinstance(script.text, bytes) else script.text.encode()
        options = [f"-p{last_pass}", "-u", *(["-g"] if script.guru else [])]
        options += [f"-G{name}={value}" for name, value in script.globals.items()]
        key = json.dumps([self.version, RELEASE, CONFIG, options, script.args]).encode()
        digest = hashlib.sha256(key + b"\0" + text).hexdigest()
        kept = self._verdicts / f"{digest}.json"
        if kept.exists():
            return Verdict(**json.loads(kept.read_text()))
        verdict = self._ask(text, options, script.args)
        tree = {
            "accepted": verdict.accepted,
            "output": verdict.output,
            "complaint": verdict.complaint,
        }
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(tree))
        partial.replace(kept)
        return verdict

    def judge_all(self, scripts: Sequence[tuple[Script, int]]) -> list[Verdict]:
        """Several scripts, each up to a pass."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda pair: self.judge(*pair), scripts))

    def _ask(self, text: bytes, options: Sequence[str], args: Sequence[str]) -> Verdict:
        with tempfile.TemporaryDirectory(prefix="stapwatch-stap-") as name:
            file = Path(name) / "x.stp"
            file.write_bytes(text)
            command = [*self._command, "-r", str(self._kernel), *options, str(file), *args]
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=600,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (20, 20)),
                env={
                    **os.environ,
                    "SYSTEMTAP_DIR": name,
                    "LC_ALL": "C.UTF-8",
                    **self._environment,
                },
            )
        said = done.stderr.decode(errors="replace").replace(str(file), "x.stp")
        return Verdict(done.returncode == 0, done.stdout.decode("latin-1"), said)


def _folder() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "stapwatch-tests" / "stap"


def _make_kernel(folder: Path) -> None:
    """Create the part of a kernel's build tree that stap reads before it compiles."""
    files = {
        "Makefile": "",
        "Module.symvers": "",
        ".config": CONFIG,
        "include/config/kernel.release": f"{RELEASE}\n",
        "include/generated/utsrelease.h": f'#define UTS_RELEASE "{RELEASE}"\n',
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
