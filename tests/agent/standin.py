# SPDX-License-Identifier: GPL-2.0-or-later
"""A compiler and a kernel small enough to test the agent's decisions without either.

Scripts are words: "ok 1" makes a module whose counter `hits` can be set; "bad" does not compile; "crash",
"killed", "hang", "noise" and "eat" misbehave; "after FILE" compiles once there is a file; "refused" compiles into a module that the kernel does not accept. Loaded
modules are images in a folder, mapped by the project's own reader. The real ones are tested in the lab.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count as count_up
from pathlib import Path
from typing import Any

from agent.config.settings import Settings
from agent.scripts.compile_client import Compiled, Compiler
from agent.scripts.kernel_modules import BusyError, Keeper, ModuleError, Modules
from compiler.protocol import Request
from runtime.abi import structs
from runtime.abi.manifest import (
    Histogram,
    HistogramKind,
    Manifest,
    Statistic,
    Storage,
    Table,
    ValueType,
)
from runtime.abi.structs import Breach, Budgets, EventKind, State
from runtime.events.decode import Event, decode
from runtime.reader.device import Device, Image
from runtime.support.record import replace
from tests.runtime.images import Plan, Writer, encoded, event, with_print

COMMAND = (sys.executable, __file__)


def compiler(settings: Settings) -> Compiler:
    return Compiler(settings.compile, COMMAND)


class KnowingCompiler(Compiler):
    """Knows identities without compiling, as the real one does. `compiles` counts the others."""

    release = "2.0+aa"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.compile, COMMAND)
        self.compiles: list[str] = []

    async def identity(self, wanted: Request) -> str:
        extra = json.dumps([list(wanted.args), dict(wanted.statistics)])
        return manifest((wanted.text or "").strip(), wanted.name, extra).identity

    async def version(self, cache_folder: Path) -> str:
        return self.release

    async def build(
        self, wanted: Request, progress: Callable[[str], None] = lambda line: None
    ) -> Compiled:
        self.compiles.append(wanted.name + (" anew" if wanted.recompile else ""))
        return await super().build(wanted, progress)


def manifest(text: str, name: str = "x", extra: str = "") -> Manifest:
    plan = Plan(lanes=2)
    plan.scalar("hits")
    if "tables" in text.split():
        add_tables(plan)
    found = with_print(plan.manifest(), "hello\n")
    tables = tuple(replace(table, monotonic=table.name != "depth") for table in found.tables)
    digest = hashlib.sha256(f"{text}\0{name}\0{extra}".encode()).hexdigest()
    return replace(
        found, name=name, module=f"sw_{name}_{digest[:8]}", identity=digest, tables=tables
    )


ELEMENTS = 12_000  # that the array `calls` has room for


def add_tables(plan: Plan) -> None:
    """One table of each kind, for a script `ok tables`."""
    plan.array("calls", {"process": 64}, ELEMENTS)
    layout = Statistic(sum=0, histogram=Histogram(HistogramKind.LOG2, 1, 65))
    plan.array("sizes", {"device": 16}, 8, value=ValueType.STAT, row_size=8 * 66, statistic=layout)
    plan.scalar("depth", storage=Storage.SHARED)
    plan.array("title", {"id": None}, 4, Storage.SHARED, ValueType.STRING, 64)


class StandInDevice(Device):
    """A mapped image with the methods of a device; events come through a pipe."""

    def __init__(self, kernel: StandInKernel, name: str, writer: Writer) -> None:
        Image.__init__(self, writer.data)
        self.name = name
        self.kernel, self.writer = kernel, writer
        self._read, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.starts = 0
        self.budgets: list[Budgets | None] = []  # as set by start and arm

    def fileno(self) -> int:
        return self._read

    def start(
        self,
        max_errors: int = structs.UNLIMITED_ERRORS,
        target: int = 0,
        budgets: Budgets | None = None,
        instead_of: Device | None = None,
    ) -> None:
        self.kernel.done.append(f"start {self.name}")
        self.budgets.append(budgets)
        self.writer.header[11] = next(self.kernel.clock)
        self.set_state(State.RUNNING)

    def stop(self) -> None:
        self.kernel.done.append(f"stop {self.name}")
        self.set_state(State.STOPPED)

    def arm(self, budgets: Budgets) -> None:
        armed = self.header().state is not State.DISARMED
        self.kernel.done.append(f"{'budgets' if armed else 'arm'} {self.name}")
        self.budgets.append(budgets)
        self.set_state(State.RUNNING)

    def disarm(self) -> None:
        self.kernel.done.append(f"disarm {self.name}")
        self.breach(Breach.REQUEST, probe=structs.NO_PROBE)

    def breach(self, why: Breach, probe: int = 1, value: int = 0, limit: int = 0) -> None:
        """Disarm it as the module does itself."""
        disarms = self.header().disarms
        self.writer.header[15:21] = why, probe, value, limit, 0, disarms + 1
        self.set_state(State.DISARMED)
        os.write(self.write_end, event(EventKind.STATE, b"", site=State.DISARMED))

    def sync(self) -> None:
        pass

    def consumed(self, before: int = structs.NO_TIME) -> None:
        self.kernel.consumed.append(before)

    def close_gates(self) -> None:
        pass

    def say(self) -> None:
        """Send the script's line as an event."""
        os.write(self.write_end, event(EventKind.PRINT, encoded()))

    def exit(self) -> None:
        self.set_state(State.EXITING)
        os.write(self.write_end, event(EventKind.STATE, b"", site=State.EXITING))

    def overload(self) -> None:
        """As a module that disarms itself: 61.25 % of a CPU, of which 50 % are allowed."""
        self.writer.header[15:21] = [Breach.ONE_CPU, 1, 612_500, 500_000, 1, 1]
        self.set_state(State.DISARMED)
        os.write(self.write_end, event(EventKind.STATE, b"", site=State.DISARMED))

    def set_state(self, state: State) -> None:
        self.writer.header[12] = state
        self.writer.put_header()

    def count(self, value: int) -> None:
        table: Table = self.writer.manifest.tables[0]
        self.writer.row(table, 0, 0, value)

    def read_events(self, room: int = 1 << 16) -> list[Event]:
        try:
            return decode(os.read(self._read, room), self.manifest())
        except BlockingIOError:
            return []

    def close(self) -> None:
        Image.close(self)
        os.close(self._read)
        os.close(self.write_end)
        self.kernel.held.discard(self.name)


class StandInKernel(Modules):
    """Loaded modules by name; `done` lists the operations, in order."""

    def __init__(self) -> None:
        self.loaded: dict[str, Writer] = {}
        self.devices: dict[str, StandInDevice] = {}
        self.held: set[str] = set()
        self.done: list[str] = []
        self.consumed: list[int] = []
        self.keepers: dict[str, Keeper] = {}
        self.clock = count_up(1_700_000_000 * 10**9)  # of `started_ns`

    def keeper(self, name: str) -> Keeper | None:
        return self.keepers.get(name)

    def keep(self, name: str, keeper: Keeper) -> None:
        self.keepers[name] = keeper

    def names(self) -> list[str]:
        return sorted(self.loaded)

    def load(self, path: Path, name: str) -> Device:
        found = Manifest.from_json(path.read_text())
        if found.name == "refused":
            raise ModuleError(f"the kernel refused module {name}: it is not signed")
        if name in self.loaded:
            raise ModuleError(f"the kernel refused module {name}: it is loaded already")
        self.put(found, State.LOADED)
        return self.open(name)

    def put(self, found: Manifest, state: State) -> None:
        """Add a module to the kernel."""
        self.loaded[found.module] = writer = Writer(found, 2)
        writer.header[11] = 0 if state is State.LOADED else next(self.clock)
        writer.header[12] = state
        writer.put_header()
        self.done.append(f"load {found.module}")

    def open(self, name: str) -> Device:
        if name in self.held:
            raise BusyError(f"module {name} is read by another process")
        self.held.add(name)
        self.devices[name] = StandInDevice(self, name, self.loaded[name])
        return self.devices[name]

    def unload(self, name: str) -> None:
        assert name not in self.held, "a module that is open cannot be unloaded"
        del self.loaded[name]
        self.done.append(f"unload {name}")


def main() -> None:
    """The compiler's side of the protocol."""
    for number, line in enumerate(sys.stdin):
        print(json.dumps(answer(json.loads(line), number)), flush=True)


def answer(request: dict[str, Any], number: int) -> dict[str, Any]:
    """The response to this process's request number `number`."""
    text = request["text"] if request["text"] is not None else Path(request["source"]).read_text()
    response: dict[str, Any]
    match text.split()[0]:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "after":  # a file, beside which this process leaves its number
            gate = Path(text.split()[1])
            gate.with_name(f"gate.{os.getpid()}").touch()
            while not gate.exists():
                time.sleep(0.005)
        case "noise":
            print("half an answer")
            raise RuntimeError("out of luck")
        case "eat":
            bytearray(64 << 30)
        case "second" if number:
            os.kill(os.getpid(), signal.SIGSEGV)  # like a module that another has damaged
        case "newer":
            response = {"ok": True, "novelty": 1}
        case "bad":
            fault = {"slug": "syntax", "message": "no", "file": "x.stp", "line": 3, "column": 5}
            response = {"ok": False, "errors": [fault, fault], "passes": []}
    if text.startswith(("ok", "after", "refused", "second")):
        extra = json.dumps([request["args"], request["statistics"]])
        made = manifest(text.strip(), request["name"], extra)
        if request["recompile"]:
            made = replace(made, module=f"{made.module}_{number}{os.getpid()}")
        path = Path(request["output"]) / f"{made.module}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made.to_json())
        print("working", file=sys.stderr)
        response = {
            "ok": True,
            "module": made.module,
            "path": str(path),
            "identity": made.identity,
            "cached": False,
            "passes": [],
            "warnings": [],
            "output": f"{os.getpid()} {number}",
        }
    return response


if __name__ == "__main__":
    main()
