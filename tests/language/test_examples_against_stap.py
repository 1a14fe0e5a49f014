# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of Debian's systemtap-doc, up to pass 2, with our compiler and with Debian's stap.

Both get the lab's kernel: stap its headers and symbols, we its types and symbols; neither has debuginfo.
We accept all examples that stap accepts, except those in the table. The result for every example is printed by
`python -m tests.language.test_examples_against_stap`. stap compiles modules to query tracepoints, which takes ten
minutes: its verdicts are cached, and `--update` records them in a file, which other machines take them from. Those of
another release of stap, of the kernel or of an example are not there, and stap is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from compiler.driver.compile import compile_script
from compiler.protocol import Request
from lab import DEFAULT_KERNEL, Guest, Image
from tests.language.stap import NO_STAP

pytestmark = [pytest.mark.host, pytest.mark.lab, pytest.mark.timeout(3600)]

EXAMPLES = Path("/usr/share/systemtap/examples")
RECORDED = Path(__file__).parent / "examples.verdicts"
_END = re.compile(r"[;|&>#]|\|\||&&|2>&1")
_WITH_VALUE = frozenset("cxTsodlLeEDGIrmB")

# Example that stap accepts and we do not -> the reason.
EXPLAINED: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Example:
    """A script with the options and arguments that its package tests it with."""

    path: Path
    options: tuple[str, ...]
    args: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.relative_to(EXAMPLES).as_posix()


@dataclass(frozen=True, slots=True)
class Kernel:
    """The lab's kernel, in the form that each compiler needs."""

    build: Path  # for stap
    tree: Mapping[str, str]  # for us
    cache: Path


def examples() -> list[Example]:
    return [_example(path) for path in sorted(EXAMPLES.rglob("*.stp"))]


def _example(path: Path) -> Example:
    """Its .meta file has the command, such as `stap -p4 chng_cpu.stp bash`."""
    meta = path.with_suffix(".meta")
    lines = meta.read_text(errors="replace").splitlines() if meta.exists() else []
    commands = [line.partition(":")[2] for line in lines if line.startswith("test_check:")]
    own = [c for c in commands if path.name in c]
    options: list[str] = []
    args: list[str] = []
    found = options
    words = iter(_words(own[0])) if own else iter(())
    for word in words:
        if word == path.name:
            found = args
        elif not re.match(r"-[A-Za-z]", word):
            found.append(word)
        elif word[1] in "GID":
            options.append(word if len(word) > 2 else word + next(words))
        elif word[1] in _WITH_VALUE and len(word) == 2:
            next(words)
    return Example(path, tuple(options), tuple(args))


def _words(command: str) -> list[str]:
    command = command.strip().removeprefix("stap ").replace("`which stap`", "/usr/bin/stap")
    words = []
    for word in shlex.split(command, comments=True):
        if _END.match(word):
            break
        words.append("1" if word == "$$" else word)  # the shell's process
    return words


def our_mistakes(kernel: Kernel, example: Example) -> list[str]:
    """Our diagnostics for an example; empty if we accept it."""
    globals_ = dict(o[2:].split("=", 1) for o in example.options if o.startswith("-G"))
    request = Request(
        name="example",
        source=str(example.path),
        args=example.args,
        globals={n: int(v) if re.fullmatch(r"-?\d+", v) else v for n, v in globals_.items()},
        defines=dict(o[2:].split("=", 1) for o in example.options if o.startswith("-D")),
        library=tuple(
            str(example.path.parent / o[2:]) for o in example.options if o.startswith("-I")
        ),
        guru=True,
        last_pass=2,
        kernel=kernel.tree,
        cache=str(kernel.cache),
    )
    response = compile_script(request, lambda text: None)
    assert response.ok or response.errors
    return [error.message for error in response.errors]


def options_of(example: Example) -> list[str]:
    return ["-g", "-p2", *example.options]


def digest_of(example: Example, version: str, release: str) -> str:
    """Of all that a verdict depends on: 12 hex digits."""
    key = json.dumps([version, release, example.name, options_of(example), example.args]).encode()
    return hashlib.sha256(key + b"\0" + example.path.read_bytes()).hexdigest()[:12]


def is_taken_by_stap(kernel: Kernel, example: Example, version: str, folder: Path) -> bool:
    """stap's verdict: recorded, cached, or asked for."""
    digest = digest_of(example, version, kernel.tree["release"])
    if (known := recorded().get(digest)) is not None:
        return known
    kept = folder / f"{digest}.json"
    if kept.exists():
        return json.loads(kept.read_text()) is True
    command = ["stap", "-r", str(kernel.build), *options_of(example), example.path.name]
    done = subprocess.run(
        [*command, *example.args],
        cwd=example.path.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=1200,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (900, 900)),
        env={**os.environ, "SYSTEMTAP_DIR": str(folder / "stap"), "LC_ALL": "C.UTF-8"},
    )
    partial = kept.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(done.returncode == 0))
    partial.replace(kept)
    return done.returncode == 0


@cache
def recorded() -> dict[str, bool]:
    """By digest: `1a2b3c4d5e6f yes io/iotop.stp`."""
    if not RECORDED.exists():
        return {}
    rows = (line.split() for line in RECORDED.read_text().splitlines())
    return {digest: verdict == "yes" for digest, verdict, _ in rows}


def lab_kernel() -> Kernel:
    """The lab's kernel with the symbols of a guest that runs it, always at the same path: stap caches its
    queries of a kernel by its folder."""
    image = Image.ensure(os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL)
    headers = Path("/usr/src") / f"linux-headers-{image.release}"
    if not headers.is_dir():
        pytest.skip(f"{headers} is not there (Debian's package {headers.name})")
    folder = _kept() / image.release
    build = folder / "build"
    build.mkdir(parents=True, exist_ok=True)
    symbols = folder / "kallsyms"
    with Guest.boot(image) as guest:
        guest.run("cat /proc/kallsyms >/tmp/kallsyms", timeout=120).check()
        guest.pull("/tmp/kallsyms", symbols)
    common = headers.with_name(headers.name.rpartition("-")[0] + "-common")
    for name, target in (("source", common), *((p.name, p.resolve()) for p in headers.iterdir())):
        if not (build / name).is_symlink():
            (build / name).symlink_to(target)
    rows = (line.split()[:3] for line in symbols.read_text().splitlines())
    (build / "System.map").write_text("".join(" ".join(row) + "\n" for row in rows))
    tree = {"root": str(image.rootfs), "release": image.release, "symbols": str(symbols)}
    return Kernel(build, tree, folder / "cache")


def _kept() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "stapwatch-tests" / "stap-examples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class Row:
    example: Example
    stap: bool
    mistakes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        ours = not self.mistakes
        return {
            (True, True): "both",
            (True, False): "only stap",
            (False, True): "only stapwatch",
            (False, False): "neither",
        }[self.stap, ours]


def version_of_stap() -> str:
    done = subprocess.run(["stap", "--version"], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).splitlines()[0]


def judge(kernel: Kernel) -> list[Row]:
    folder, version, wanted = _kept(), version_of_stap(), examples()
    with ThreadPoolExecutor(2) as pool:
        taken = list(
            pool.map(partial(_is_taken, kernel=kernel, version=version, folder=folder), wanted)
        )
    return [
        Row(example, stap, tuple(our_mistakes(kernel, example)))
        for example, stap in zip(wanted, taken, strict=True)
    ]


def _is_taken(example: Example, **rest: Any) -> bool:
    return is_taken_by_stap(example=example, **rest)


def show(rows: list[Row]) -> str:
    counts = Counter(row.verdict for row in rows)
    lines = [", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))]
    for row in sorted(rows, key=lambda row: row.verdict):
        why = EXPLAINED.get(row.example.name, "") if row.verdict == "only stap" else ""
        first = row.mistakes[0] if row.mistakes else ""
        lines.append(f"{row.verdict:15} {row.example.name:45} {why or first}".rstrip())
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    if shutil.which("stap") is None:
        pytest.skip(NO_STAP)
    if not EXAMPLES.is_dir():
        pytest.skip("the examples are not installed (Debian's package systemtap-doc)")
    return judge(lab_kernel())


def test_what_stap_takes_is_taken_or_explained(rows: list[Row]) -> None:
    print(show(rows))
    assert len(rows) > 150
    refused = {row.example.name: row.mistakes for row in rows if row.verdict == "only stap"}
    assert refused.keys() == EXPLAINED.keys(), "\n".join(
        f"{name}: {'; '.join(refused.get(name, ('taken now',)))}"
        for name in sorted(refused.keys() ^ EXPLAINED.keys())
    )


def test_more_is_taken_than_by_stap(rows: list[Row]) -> None:
    counts = Counter(row.verdict for row in rows)
    assert counts["only stapwatch"] > counts["only stap"]


def record(rows: list[Row], release: str) -> None:
    """Replace the recorded verdicts."""
    version = version_of_stap()
    RECORDED.write_text(
        "".join(
            f"{digest_of(row.example, version, release)} {'yes' if row.stap else 'no'} {row.example.name}\n"
            for row in rows
        )
    )


if __name__ == "__main__":
    the_kernel = lab_kernel()
    judged = judge(the_kernel)
    sys.stdout.write(show(judged))
    if "--update" in sys.argv:
        record(judged, the_kernel.tree["release"])
