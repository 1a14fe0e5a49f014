# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent as the guest's systemd runs it, seen from outside: systemctl, its pages, the journal.

service.start()
service.value("stapwatch_calls_getppid_total", execname="trigger")   -> 777.0
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.exposition.render import Format
from lab import Completed, Guest
from tests.agent import pages

T = TypeVar("T")
PORT = 9436
PATIENCE = 180.0  # seconds after which an expected event counts as missing
RELOADED = "stapwatch_config_last_reload_success_timestamp_seconds"
SUCCEEDED = "stapwatch_config_last_reload_successful"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def wait_for(ask: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """Ask until the answer is neither None nor False."""
    deadline = time.monotonic() + patience
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"not after {patience:.0f} s: {what}"
        time.sleep(0.2)


@dataclass
class Service:
    """The service in a guest; `port` of the host is forwarded to the agent's."""

    guest: Guest
    port: int

    # -- systemd ----------------------------------------------------------------------------------

    def systemctl(self, *words: str) -> Completed:
        return self.guest.run(["systemctl", *words], timeout=300)

    def start(self) -> None:
        """Start the service. Returns after READY=1."""
        done = self.systemctl("start", "stapwatch")
        assert done.status == 0, f"{done.stderr}\n{self.journal_text()}"

    def stop(self) -> None:
        self.systemctl("stop", "stapwatch").check()

    def show(self, name: str) -> str:
        return self.systemctl("show", "-P", name, "stapwatch").check().stdout.strip()

    def reload(self) -> None:
        """Reload by systemd. When that returns, the new configuration is in force."""
        before = self.reloaded()
        done = self.systemctl("reload", "stapwatch")
        assert done.status == 0, f"{done.stderr}\n{self.journal_text()}"
        assert self.reloaded() > before
        assert self.value(RELOADED) == self.reloaded()
        assert self.value(SUCCEEDED) == 1

    def reload_in_vain(self) -> None:
        """Reload a configuration of which something is wrong: systemd knows it when it returns."""
        before = self.reloaded()
        assert self.systemctl("reload", "stapwatch").status == 1
        assert self.show("ActiveState") == "active"
        assert self.reloaded() == before
        assert self.value(SUCCEEDED) == 0

    # -- pages ------------------------------------------------------------------------------------

    def get(self, path: str, **headers: str) -> pages.Page:
        return pages.fetched(f"http://127.0.0.1:{self.port}{path}", 30, **headers)

    def series(self) -> Series:
        return parsed(self.get("/metrics").body.decode())

    def value(self, name: str, **labels: str) -> float:
        """One sample. Raises AssertionError if it does not exist."""
        found = self.series()
        key = (name, frozenset(labels.items()))
        near = sorted(str(k) for k in found if k[0] == name)
        assert key in found, f"no {name}{labels}; there is {near}"
        return found[key]

    def count(self, name: str, **labels: str) -> float:
        """One sample of a counter; 0 if it has never counted."""
        return self.series().get((name, frozenset(labels.items())), 0.0)

    def tree(self) -> dict[str, Any]:
        """The contents of /status, which is rendered faster than the page of metrics."""
        tree = json.loads(self.get("/status").body)
        assert isinstance(tree, dict)
        return tree

    def reloaded(self) -> float:
        """The time at which the configuration was last put in force."""
        return float(self.tree()["reload"]["timestamp"])

    def status(self) -> dict[str, dict[str, Any]]:
        """The status of each script in /status, by its name."""
        return {script["name"]: script for script in self.tree()["scripts"]}

    def states(self) -> dict[str, str]:
        return {name: script["state"] for name, script in self.status().items()}

    # -- journal and kernel ---------------------------------------------------------------------------

    def journal(self, *filters: str) -> list[dict[str, str]]:
        """The entries of the unit's journal that match, oldest first."""
        argv = ["journalctl", "--sync"]
        self.guest.run(argv, timeout=60).check()
        argv = ["journalctl", "-o", "json", "-u", "stapwatch", "--no-pager", *filters]
        text = self.guest.run(argv, timeout=120).stdout
        return [json.loads(line) for line in text.splitlines()]

    def errors(self, script: str) -> list[str]:
        """The lines about a script's errors: single ones and summaries."""
        return [str(entry["MESSAGE"]) for entry in self.journal(f"SCRIPT={script}", "PRIORITY=3")]

    def journal_text(self) -> str:
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.journal()[-40:])

    def modules(self) -> set[str]:
        """Modules of scripts that are loaded now."""
        text = self.guest.run(["cat", "/proc/modules"]).check().stdout
        return {line.split()[0] for line in text.splitlines() if line.startswith("sw_")}

    def devices(self) -> set[str]:
        return set(self.guest.run("ls -1 /dev/stapwatch 2>/dev/null; true").check().stdout.split())


def error_count(text: str) -> int:
    """How many errors a line of `Service.errors` tells: `24 more in 10 s: division by 0 at ...`."""
    return int(text.split()[0]) if " more in " in text else 1


def parsed(text: str) -> Series:
    """All samples of a page in the text format."""
    found = pages.samples(text.encode(), Format.TEXT)
    return {(name, frozenset(labels)): value for (name, labels), value in found.items()}
