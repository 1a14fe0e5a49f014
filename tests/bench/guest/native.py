# SPDX-License-Identifier: GPL-2.0-or-later
"""In a guest's root folder, natively: the cost of compiling. The result is one line of JSON.

    native.py work-folder example.stp hand-folder rounds scripts
    -> {"new_kernel": 4.1, "cold": [0.21, ...], "cached": [...], "many_cold": {"cpu", "wall"}, ...}

All numbers are CPU seconds of the compiler's process and its children, started as the agent starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agent.config.settings import CompileSettings
from agent.scripts.compile_client import Compiler
from agent.scripts.compile_worker import COMMAND
from compiler.driver.compile import compile_script
from compiler.kernel.kernel import Kernel
from compiler.modbuild.builder import Builder
from compiler.modbuild.request import BuildInput, Tier
from compiler.protocol import Request, encode
from compiler.support.content_store import Cache
from runtime.support.record import replace

JOBS = 2


def main() -> None:
    work, example, hand = map(Path, sys.argv[1:4])
    rounds, scripts = map(int, sys.argv[4:6])
    builds = min(rounds, 3)  # rounds of the builds that take seconds
    text = example.read_text()
    cache = work / "cache"

    def request(number: int) -> Request:
        """The example, as another script for the cache with each number: a comment would be no change."""
        changed = f"{text}\nprobe never {{ println({number}) }}\n"
        return Request("example", text=changed, cache=str(cache))

    first, _ = compile_once(request(0))
    cold = [compile_once(request(1 + n)) for n in range(rounds)]
    cached = [compile_once(request(1 + n))[0] for n in range(rounds)]
    many = [request(1000 + n) for n in range(scripts)]
    assert all("compiled C" in {p["title"] for p in r["passes"]} for _, r in cold), "from the cache"
    result = {
        "new_kernel": first,
        "cold": [spent for spent, _ in cold],
        "profile": profile(cold),
        "cached": cached,
        "many_cold": compile_many(many),
        "many_cached": compile_many(many),
        "kbuild": [kbuild(request(1), work / f"kbuild{n}") for n in range(builds)],
        "kbuild_one": [kbuild_one(hand, work / f"one{n}") for n in range(builds)],
    }
    print(json.dumps(result))


def profile(cold: list[tuple[float, dict[str, Any]]]) -> dict[str, float]:
    """The profile of a cold compile: CPU seconds of each part, on average."""
    parts: dict[str, float] = {}
    for spent, response in cold:
        passes = {p["title"]: p["user"] + p["system"] for p in response["passes"]}
        around = spent - sum(passes.values())
        for name, seconds in {"Python's start, imports, the cache": around, **passes}.items():
            parts[name] = parts.get(name, 0) + seconds / len(cold)
    return parts


def compile_once(request: Request) -> tuple[float, dict[str, Any]]:
    before = children()
    done = subprocess.run(COMMAND, input=encode(request), capture_output=True)
    spent = children() - before
    failed = {"ok": False, "errors": done.stderr}
    response: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else failed
    check(response)
    return spent, response


def check(response: dict[str, Any]) -> None:
    if not response["ok"]:
        raise SystemExit(f"the example does not compile: {response['errors']}")


def compile_many(requests: list[Request]) -> dict[str, float]:
    """Compile as the agent does: JOBS children at a time."""

    async def run() -> None:
        compiler = Compiler(CompileSettings(jobs=JOBS))
        await asyncio.gather(*(compiler.compile(request) for request in requests))

    before, start = children() + time.process_time(), time.monotonic()
    asyncio.run(run())
    cpu = children() + time.process_time() - before
    return {"cpu": cpu, "wall": time.monotonic() - start}


def kbuild(request: Request, folder: Path) -> float:
    """Build the same script's C and the runtime with the kernel's build system."""
    response = compile_script(replace(request, last_pass=3), lambda line: None)
    build = BuildInput("example", response.output, "{}", Kernel.running())
    before = children()
    Builder(Cache(folder), only=Tier.KBUILD).build(build)
    return children() - before


def kbuild_one(hand: Path, folder: Path) -> float:
    """Build one file of a hand-written module: the minimum time of kbuild."""
    shutil.copytree(hand, folder)
    (folder / "Kbuild").write_text("obj-m += hand_key.o\n")
    before = children()
    make = [
        "make",
        "-s",
        "-C",
        f"/lib/modules/{os.uname().release}/build",
        f"M={folder}",
        "modules",
    ]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    return children() - before


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
