# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot guard, and quarantine: which modules must not be started.

    guard.check("vfs", identity, budgets)   -> Quarantine(reason="the machine went down ...") or None
    guard.trying("vfs", identity)           # before it is loaded: a mark, synced, unless it is proven
    guard.settle("vfs")                     # after a minute: the mark goes, the module is proven
    guard.stopped("vfs")                    # stopped in order: the mark goes

An `identity` is the module's name, of which the compiler is a part: another release's module of the same
script has to prove itself anew. A mark with the boot_id of another boot says that the machine went down while
the module was new. A crash of the agent alone does not change the boot_id. A state folder that cannot be
written stops no script: a full disk must not end all tracing. Then `problem` says why, and the next crash
will not be remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from agent.scripts.script_records import Quarantine, Record, ScriptRecords, Starting
from runtime.support.boot import boot_id
from runtime.support.record import replace

MINUTE = 60.0  # a module that has run for so many seconds is proven
CRASH = "boot"  # the budget of a quarantine after a crash


class Guard:
    """All calls that may write block: use a thread. `clock`: seconds that no change of the date moves."""

    def __init__(
        self,
        records: ScriptRecords,
        boot: str | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.problem = ""  # why the last record could not be written
        self._records, self._clock = records, clock
        self._boot = boot_id() if boot is None else boot
        self._known: dict[str, Record] = {}
        self._since: dict[str, float] = {}  # of the modules that are tried

    def check(
        self, script: str, identity: str, budgets: str, revision: str = ""
    ) -> Quarantine | None:
        """Why the module must not be started. A new kernel or compiler makes another module of the same text,
        which is no reason to try it again."""
        found = self._record(script)
        tried, why = found.starting, found.quarantine
        if tried is not None and tried.boot != self._boot and tried.identity == identity:
            why = Quarantine(identity, "", CRASH, _crashed(script))
            found = replace(found, starting=None, quarantine=why, revision=revision)
            self._save(script, found)
        if why is None or why.budgets not in ("", budgets):
            return None
        is_same = found.revision == revision if found.revision else why.identity == identity
        return why if is_same else None

    def trying(self, script: str, identity: str) -> None:
        """The module is about to be loaded. A quarantine of an older one ends."""
        found = self._record(script)
        mark = None if found.proven == identity else Starting(identity, self._boot)
        self._save(script, replace(found, starting=mark, quarantine=None, revision=""))
        self._watch(script)

    def adopted(self, script: str) -> None:
        """The module is one that a dead agent has started."""
        self._watch(script)

    def settle(self, script: str) -> None:
        """The module has run for a minute."""
        found = self._record(script)
        if found.starting is not None:
            self._save(script, replace(found, proven=found.starting.identity, starting=None))

    def stopped(self, script: str) -> None:
        """The module was stopped in order, or was not started."""
        self._since.pop(script, None)
        found = self._record(script)
        if found.starting is not None:
            self._save(script, replace(found, starting=None))

    def due(self) -> list[str]:
        """The scripts to settle now; each is named once."""
        now = self._clock()
        found = [script for script, since in list(self._since.items()) if now - since >= MINUTE]
        for script in found:
            del self._since[script]
        return found

    def quarantine(self, script: str, why: Quarantine, revision: str = "") -> None:
        """Remember over restarts that the script is not to be armed."""
        self._save(script, replace(self._record(script), quarantine=why, revision=revision))

    def release(self, script: str) -> None:
        """A person arms the script."""
        found = self._record(script)
        if found.quarantine is not None or found.held:
            self._save(script, replace(found, quarantine=None, revision="", held=False))

    def hold(self, script: str) -> None:
        """A person has disarmed the script: remember it over restarts and new texts, until `release`."""
        self._save(script, replace(self._record(script), held=True))

    def remembered(self, script: str) -> Record:
        """What a person has said of the script, and what it has waited for."""
        return self._record(script)

    def allow(self, script: str, armed: str = "", passed: str = "") -> None:
        """Remember one of them."""
        found = self._record(script)
        found = replace(found, armed=armed or found.armed, passed=passed or found.passed)
        self._save(script, found)

    def _watch(self, script: str) -> None:
        if self._record(script).starting is not None:
            self._since[script] = self._clock()

    def _record(self, script: str) -> Record:
        if script not in self._known:
            self._known[script] = self._records.load(script)
        return self._known[script]

    def _save(self, script: str, found: Record) -> None:
        if found == self._record(script):
            return
        self._known[script] = found
        try:
            self._records.save(script, found)
            self.problem = ""
        except OSError as error:
            self.problem = f"{error.filename or 'the state folder'}: {error.strerror or error}"


def _crashed(script: str) -> str:
    return (
        "the machine went down before this script had run for a minute on this kernel; "
        f"if it is not the reason: stapwatch arm {script}"
    )
