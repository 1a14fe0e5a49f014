# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds of torture, in guest after guest, until the time is up.

tally = Torture("6.1", seed=7, folder=tmp).run(minutes=2)
tally.complaints                       # empty, or what went wrong, with the seed that does it again
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import CommandFailed, CommandTimeout, Guest, GuestDied, Image, install_app
from runtime.support import python_module
from tests import PROJECT, kernel_module
from tests.torture import fuzzed, judge
from tests.torture.workloads import CHURN, WORKLOADS, Workload

HERE = Path(__file__).parent
DISTURBANCES = ("churn", "fuzz", "readers", "hotplug", "modules", "memory")
NMI_SENDER = "nmi_sender"
FUZZED = 8  # generated programs
CPUS = (2, 4, 8)
MEMORY_MB = {"debug": 2048}
ROUNDS = 4  # of one guest
AT = "/tmp/torture"
TIMEOUT = 900.0


@dataclass
class Tally:
    """What all rounds came to."""

    rounds: int = 0
    events: int = 0
    losses: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def table(self) -> str:
        parts = ", ".join(f"{name} {count}" for name, count in sorted(self.parts.items()))
        rows = {
            "rounds": self.rounds,
            "events": self.events,
            "losses counted": self.losses,
            "complaints": len(self.complaints),
            "parts": parts,
        }
        lines = [f"{name:<16} {value}" for name, value in rows.items()]
        return "\n".join([*lines, *(f"- {text}" for text in self.complaints)])


class Torture:
    """`folder` gets the compiled scripts. Raises LabError if there is no guest to be had."""

    def __init__(self, kernel: str, seed: int, folder: Path) -> None:
        self.memory_mb = MEMORY_MB.get(kernel, 1024)
        self.image = Image.ensure(kernel)
        self.seed = seed
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.random = random.Random(seed)
        self.tally = Tally()
        self.modules: dict[str, str] = {}

    def run(self, minutes: float, seconds: float = 15.0) -> Tally:
        """Rounds of `seconds` each, until `minutes` have passed; at least one."""
        self.build_trigger()
        end = time.monotonic() + 60 * minutes
        while not self.tally.rounds or time.monotonic() < end:
            cpus = self.random.choice(CPUS)
            with Guest.boot(self.image, cpus=cpus, memory_mb=self.memory_mb) as guest:
                self.prepare(guest)
                self.guest_life(guest, cpus, seconds, end)
        return self.tally

    def guest_life(self, guest: Guest, cpus: int, seconds: float, end: float) -> None:
        first: dict[str, int] = {}
        for _ in range(ROUNDS):
            number = self.tally.rounds
            self.tally.rounds += 1
            workloads, plan = self.plan(number, cpus, seconds)
            parts = [*(each.name for each in workloads), *plan["disturbances"]]
            self.tally.parts.update(parts)
            what = f"round {number}, {cpus} CPUs: {', '.join(parts)}"
            found, alive = self.one_round(guest, workloads, plan, first)
            print(f"{what}: {'; '.join(found) or 'clean'}", file=sys.stderr, flush=True)
            self.tally.complaints += [f"SEED={self.seed} {what}: {text}" for text in found]
            if not alive or time.monotonic() > end:
                return

    def plan(self, number: int, cpus: int, seconds: float) -> tuple[list[Workload], dict[str, Any]]:
        workloads = self.random.sample(WORKLOADS, self.random.randint(2, 4))
        plan = {
            "seed": self.seed + number,
            "seconds": seconds,
            "workloads": [
                {
                    "name": each.name,
                    "path": self.modules[each.name],
                    "storm": each.storm.split(),
                    "jobs": self.random.randint(1, max(1, cpus // 2)),
                }
                for each in workloads
            ],
            "disturbances": self.random.sample(DISTURBANCES, self.random.randint(1, 3)),
            "churn": self.modules["churn"],
            "fuzzed": [path for name, path in self.modules.items() if name.startswith("fuzz")],
        }
        return workloads, plan

    def one_round(
        self, guest: Guest, workloads: list[Workload], plan: dict[str, Any], first: dict[str, int]
    ) -> tuple[list[str], bool]:
        """What was wrong, and whether the guest can go on."""
        (self.folder / "plan.json").write_text(json.dumps(plan))
        guest.push(self.folder / "plan.json", f"{AT}/plan.json")
        argv = ["python3", f"{AT}/rounds.py", f"{AT}/plan.json", f"{AT}/result.json"]
        env = {"PYTHONPATH": "/usr/lib/stapwatch", "PATH": f"{AT}:/usr/sbin:/usr/bin"}
        try:
            guest.run(argv, timeout=TIMEOUT, env=env).check()
            result = json.loads(guest.run(["cat", f"{AT}/result.json"]).check().stdout)
            logged = guest.complaints()
        except GuestDied as error:
            return [str(error)], False
        except (CommandFailed, CommandTimeout) as error:
            return [str(error), *guest.complaints()], False
        if not first:
            first.update(result["memory"])
        seen, lost = judge.events(result)
        self.tally.events += seen
        self.tally.losses += lost
        return judge.complaints(workloads, result, first, plan["disturbances"]) + logged, not logged

    # -- before the first round -------------------------------------------------------------------

    def build_trigger(self) -> None:
        source = PROJECT / "tests/handlers/trigger.c"
        argv = ["gcc", "-O1", "-static", "-o", str(self.folder / "trigger"), str(source)]
        subprocess.run(argv, check=True)

    def prepare(self, guest: Guest) -> None:
        """The project, the scripts' modules and the programs of this folder."""
        install_app.install(guest, PROJECT, units=False)
        if not self.modules:
            symbols = self.folder / "kallsyms"
            guest.run("cat /proc/kallsyms >/tmp/kallsyms", timeout=300).check()
            guest.pull("/tmp/kallsyms", symbols)
            scripts = {"churn": CHURN, **{each.name: each.script for each in WORKLOADS}}
            for name, script in scripts.items():
                self.modules[name] = f"{AT}/{self.compile(name, script)}.ko"
            for n, program in enumerate(fuzzed.programs(self.seed, FUZZED)):
                if made := self.compile(f"fuzz{n}", program.text, program.defines, program.guru):
                    self.modules[f"fuzz{n}"] = f"{AT}/{made}.ko"
            kernel_module.build([HERE / f"{NMI_SENDER}.c"], self.image, self.folder / "build")
        guest.run(["mkdir", "-p", f"{AT}/tests/torture"]).check()
        modules = self.folder.rglob("*.ko")
        guest.push(HERE / "disturb.py", f"{AT}/tests/torture/disturb.py")
        for path in (HERE / "rounds.py", self.folder / "trigger", *modules):
            guest.push(path, f"{AT}/{path.name}")
        guest.run(["insmod", f"{AT}/{NMI_SENDER}.ko"]).check()

    def compile(
        self, name: str, script: str, defines: dict[str, str] | None = None, guru: bool = False
    ) -> str:
        """The name of the module that is made of a script, for the guest's kernel; "" for a pattern with too large
        a table."""
        request = {
            "name": name,
            "module": f"torture_{name}",
            "text": script,
            "defines": defines or {},
            "guru": guru,
            "kernel": {
                "root": str(self.image.rootfs),
                "release": self.image.release,
                "symbols": str(self.folder / "kallsyms"),
            },
            "output": str(self.folder),
        }
        done = subprocess.run(
            python_module.command("compiler"),
            input=json.dumps(request),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            check=True,
        )
        response: dict[str, Any] = json.loads(done.stdout)
        if not response["ok"]:
            texts = [error["text"] for error in response["errors"]]
            if any("regex-too-large" in text for text in texts):
                return ""
            raise ValueError("\n".join(texts))
        return str(response["module"])
