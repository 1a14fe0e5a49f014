# SPDX-License-Identifier: GPL-2.0-or-later
"""The command of -c, from its first stop to its end."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.session.target_process import TargetProcess
from agent.timeout import timeout
from tests import PROJECT


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def run_to_end(command: str) -> int | None:
    async def run() -> int | None:
        target = TargetProcess.prepare(command)
        target.release()
        await target.wait()
        await target.end()
        return target.status

    return asyncio.run(run())


def test_the_process_is_stopped_until_it_is_released(tmp_path: Path) -> None:
    made = tmp_path / "made"
    target = TargetProcess.prepare(f"touch {made}")
    assert status_of(target.pid)["State"].startswith("T")
    assert not made.exists()
    target.release()
    asyncio.run(target.wait())
    assert target.status == 0
    assert made.exists()
    asyncio.run(target.end())


@pytest.mark.parametrize(
    ("command", "status"), [("true", 0), ("sh -c 'exit 7'", 7), ("kill -KILL $$", -9)]
)
def test_status(command: str, status: int) -> None:
    assert run_to_end(command) == status


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(FileNotFoundError):
        TargetProcess.prepare("no-such-command-here")


def test_a_file_without_an_interpreter_is_a_script_of_the_shell(tmp_path: Path) -> None:
    """As with posix_spawnp()."""
    script = tmp_path / "script"
    script.write_text("exit 5\n")
    script.chmod(0o755)
    assert run_to_end(str(script)) == 5


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)

    async def run() -> OSError | None:
        target = TargetProcess.prepare(str(script))
        target.release()
        await target.wait()
        await target.end()
        assert target.status == 127
        return target.failure

    failure = asyncio.run(run())
    assert failure is not None and failure.strerror == "No such file or directory"


def test_the_command_gets_the_signals_that_a_shell_gives_it(tmp_path: Path) -> None:
    """Python ignores some of its own."""
    found = tmp_path / "status"
    run_to_end(f"cat /proc/self/status >{found}")
    lines = dict(line.split(":\t", 1) for line in found.read_text().splitlines() if ":\t" in line)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not int(lines["SigIgn"], 16) & 1 << number - 1


@pytest.mark.parametrize("started", [False, True])
def test_a_stopped_process_ends_at_once(started: bool) -> None:
    """Before its release, and when it has stopped itself as the command."""

    async def run() -> int | None:
        target = TargetProcess.prepare("kill -STOP $$; exit 3")
        if started:
            target.release()
            while not status_of(target.pid)["Name"].startswith("sh"):
                await asyncio.sleep(0)
            await asyncio.to_thread(os.waitid, os.P_PID, target.pid, os.WSTOPPED | os.WNOWAIT)
        async with timeout(4):  # less than SIGTERM is given before SIGKILL
            await target.end()
        return target.status

    assert asyncio.run(run()) == -signal.SIGTERM


def test_a_killed_run_leaves_no_stopped_process() -> None:
    code = """
from agent.session.target_process import TargetProcess
import os, signal
print(TargetProcess.prepare("true").pid, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as run:
        assert run.stdout is not None
        watch = os.pidfd_open(int(run.stdout.readline()))
        run.kill()
    assert select.select([watch], [], [], 10)[0], "the process is still there"
    os.close(watch)
