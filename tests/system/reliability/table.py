# SPDX-License-Identifier: GPL-2.0-or-later
"""All faults, in the order in which they are done."""

from __future__ import annotations

from tests.system.reliability import clients, files, processes, releases
from tests.system.reliability.fault import COUNTED, Fault

NOTHING = "nothing"
BY_ITSELF = "nothing"
SWAPPED = frozenset({"reads"})
EVERYTHING = frozenset(COUNTED)

FAULTS = (
    Fault(
        "`kill -9` of the agent",
        processes.kill_agent,
        "scripts count, and lines wait in their rings; systemd starts an agent, which adopts the modules",
        "nothing; the last lines may be written twice",
        BY_ITSELF,
        says=(
            "Main process exited, code=killed, status=9/KILL",
            "module sw_calls_... adopted",
        ),
        repeated=1000,
    ),
    Fault(
        "`systemctl restart`",
        processes.restart,
        "scripts count; the next agent adopts the modules",
        NOTHING,
        BY_ITSELF,
        says=("modules stay loaded for the next agent", "module sw_calls_... adopted"),
    ),
    Fault(
        "OOM kill of the agent",
        processes.kill_for_memory,
        "as after `kill -9`",
        "nothing; the last lines may be written twice",
        "raise MemoryMax= if it is yours",
        says=("A process of this unit has been killed by the OOM killer",),
        repeated=1000,
    ),
    Fault(
        "the agent is stopped for a while",
        processes.stop_reader,
        "scripts count",
        "lines that find their ring full: `event`",
        "raise RINGSIZE in `defines:` if lines matter",
        reasons=frozenset({"event"}),
    ),
    Fault(
        "`kill -9` of the loader at each step of a reload",
        processes.kill_loader,
        "scripts that have not changed count; the next agent finishes the change, whatever was half done",
        "of the script that changes: what its older version has counted since the last scrape, and all of it if the new one "
        "has counted more by the next scrape: Prometheus then sees no reset; nothing counts twice",
        BY_ITSELF,
        says=("Main process exited, code=killed, status=9/KILL",),
        swaps=SWAPPED,
        uncounted=SWAPPED,
        repeated=1000,
    ),
    Fault(
        "`kill -9` of a compiler",
        processes.kill_compiler,
        "the older version of the script; the compile is tried once more, and a second kill is an error",
        NOTHING,
        "reload, when there is memory again",
        says=("the compiler has ended without an answer", "not all is in force: 1 problem"),
        swaps=SWAPPED,
    ),
    Fault(
        "1,000 SIGHUPs",
        processes.sighups,
        "everything; they share a few reloads",
        NOTHING,
        BY_ITSELF,
        says=("reloading", "ready: 4 running"),
    ),
    Fault(
        "a CPU goes and comes back",
        processes.cpu_off,
        "everything; what the CPU has counted stays",
        NOTHING,
        BY_ITSELF,
    ),
    Fault(
        "storm of errors",
        processes.errors,
        "everything; errors are summed up every 10 s",
        "what the failed handlers had still to do: `error`",
        "correct the script; `max_errors` ends it",
        says=("division by 0",),
        reasons=frozenset({"error"}),
    ),
    Fault(
        "storm of prints",
        processes.prints,
        "everything",
        "lines that find their ring full: `event`",
        "print less; `log_lines` bounds what is written",
        reasons=frozenset({"event"}),
    ),
    Fault(
        "the disk is full",
        files.fill_disk,
        "what runs, and changes to scripts that are in the cache",
        NOTHING,
        "make room, then reload",
        says=("script sizes does not compile", "not all is in force: 1 problem"),
        swaps=SWAPPED,
    ),
    Fault(
        "a module in the cache is damaged",
        files.corrupt_cache,
        "the older version, until the script has been compiled anew",
        NOTHING,
        BY_ITSELF,
        says=(
            "script sizes was compiled anew: its module was removed from the cache, or was damaged there",
        ),
        swaps=SWAPPED,
    ),
    Fault(
        "the cache and the state folder cannot be written",
        files.lock_folders,
        "what runs, and changes to scripts that are in the cache",
        "what the agent would remember of crashes and quarantines",
        "correct the folders' modes",
        metrics=("stapwatch_state_folder_writable 0",),
        swaps=SWAPPED,
    ),
    Fault(
        "the kernel refuses a module",
        files.refuse_module,
        "the older version of the script",
        NOTHING,
        "see the message; reload when the reason is gone",
        says=("the kernel refused module", "not all is in force: 1 problem"),
    ),
    Fault(
        "journald stops and is restarted",
        files.stop_journald,
        "everything; lines wait in their rings",
        NOTHING,
        BY_ITSELF,
    ),
    Fault(
        "the clock jumps, forward and back",
        files.jump,
        "everything",
        NOTHING,
        BY_ITSELF,
    ),
    Fault(
        "64 scrapers by TLS, 16 of which stall",
        clients.scrape_by_many,
        "everything; each other scraper gets its page",
        NOTHING,
        BY_ITSELF,
    ),
    Fault(
        "downgrade to a release before restarts kept modules",
        releases.downgrade,
        "nothing: that release loads its own modules",
        "what was counted since the last scrape, and what happens until that release has started",
        "`systemctl stop stapwatch` before: that release does not know the modules that a restart leaves to it",
        swaps=EVERYTHING,
        uncounted=EVERYTHING,
    ),
    Fault(
        "upgrade from a release before restarts kept modules",
        releases.upgrade,
        "nothing: that release unloads its modules",
        "what was counted since the last scrape, and what happens until this release has started",
        BY_ITSELF,
        swaps=EVERYTHING,
        uncounted=EVERYTHING,
    ),
    Fault(
        "upgrade to a release with another runtime",
        releases.upgrade_again,
        "scripts count; the new agent adopts the modules of the old release",
        NOTHING,
        "`stapwatch reload --recompile` makes new modules, when you want",
        says=("modules stay loaded for the next agent", "module sw_calls_... adopted"),
    ),
    Fault(
        "downgrade from it",
        releases.downgrade_again,
        "scripts count; the older agent adopts the modules",
        NOTHING,
        BY_ITSELF,
        says=("modules stay loaded for the next agent", "module sw_calls_... adopted"),
    ),
)
