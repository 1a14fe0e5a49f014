# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on in the guest meanwhile: a program that counts the events which it makes.

load = Load.start(guest)
load.pause()          -> Made(calls=420, reads=105, lines=21, errors=0)
load.make("lines", 500)
load.go()
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from lab import Guest
from lab.guest import Running

SCRIPTS = {
    "calls": """\
global getppid
probe kernel.trace("sys_enter") { if ($id == 110 && execname() == "load") getppid++ }
""",
    "lines": 'probe syscall.openat { if (execname() == "load") printf("opened %s\\n", filename) }\n',
    "errors": """\
global zero
probe kernel.trace("sys_enter") { if ($id == 111 && execname() == "load") zero += 1 / zero }
""",
}
# its versions are other modules that count the same
SIZES = """\
global size, version
probe begin { version = %d }
probe kernel.function("vfs_read") { if (execname() == "load" && $count == 64) size <<< $count }
"""
RING = 32768  # bytes a CPU: the lines of a minute, and few of a storm's
PROGRAM = """\
import json, os, select
zero = os.open("/dev/zero", os.O_RDONLY)
made = {"calls": 0, "reads": 0, "lines": 0, "errors": 0}
open("/proc/self/comm", "w").write("load")

def make(kind, number):
    for _ in range(number):
        if kind == "calls":
            os.getppid()
        elif kind == "reads":
            os.read(zero, 64)
        elif kind == "errors":
            os.getpgrp()
        else:
            try:
                os.open(f"/nowhere/{made['lines']}", os.O_RDONLY)
            except FileNotFoundError:
                pass
        made[kind] += 1

waits = {"go": 0.01, "rush": 0, "pause": None}  # seconds after each turn
wait, turns, said = waits["go"], 0, 0
while True:
    if select.select([0], [], [], wait)[0]:
        word, *numbers = os.read(0, 100).decode().split()
        if word == "end":
            break
        if word in made:
            make(word, int(numbers[0]))
        else:
            wait = waits[word]
        said += 1
        print(f"answer {said} {json.dumps(made)} .", flush=True)
    if wait is not None:
        turns += 1
        make("calls", 20)
        make("reads", 5)
        if turns % 10 == 0:
            make("lines", 1)
"""
PLACE = "/root/load.py"


@dataclass(frozen=True)
class Made:
    """Events so far. Each read has 64 bytes; each line is `opened "/nowhere/N"`, with N from 0 on."""

    calls: int
    reads: int
    lines: int
    errors: int


class Load:
    """The program in the guest."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._asked = 0

    @classmethod
    def start(cls, guest: Guest) -> Load:
        guest.push_text(PROGRAM, PLACE)
        return cls(guest.start(["python3", PLACE], stdin=True))

    def pause(self) -> Made:
        """Make no more events."""
        return self._ask("pause")

    def go(self) -> None:
        self._ask("go")

    def rush(self) -> None:
        """As fast as it can."""
        self._ask("rush")

    def make(self, kind: str, number: int) -> Made:
        """A storm: so many events at once. The load is as it was before then."""
        return self._ask(f"{kind} {number}")

    def end(self) -> None:
        self._running.write(b"end\n")
        self._running.wait().check()

    def _ask(self, words: str) -> Made:
        self._asked += 1
        self._running.write(f"{words}\n".encode())
        start = f"answer {self._asked} "
        while True:
            output = self._running.wait(until=start.encode()).stdout
            answer, found, _ = output.partition(start)[2].partition(" .\n")
            if found:
                return Made(**json.loads(answer))
