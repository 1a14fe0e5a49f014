# SPDX-License-Identifier: GPL-2.0-or-later
"""A child compiles with what this machine lets it give up."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from agent.scripts.compile_worker import Worker, WorkerError
from runtime.reader import module_loader
from tests.agent.conftest import run

SHOW = """\
import os, sys
sys.stdin.readline()
for line in open("/proc/self/status"):
    print(line.strip(), file=sys.stderr)
print("Nice:", os.getpriority(os.PRIO_PROCESS, 0), file=sys.stderr)
print("Oom:", open("/proc/self/oom_score_adj").read().strip(), file=sys.stderr)
"""
SYSLOG, OVERRIDE, SEARCH = 1 << 34, 1 << 1, 1 << 2


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What a child says of itself."""
    said: list[str] = []

    async def main() -> None:
        worker = await Worker.start((sys.executable, "-c", SHOW), 1024, 60)
        with pytest.raises(WorkerError):
            await worker.ask(b"{}\n", said.append)

    run(main())
    return {name: value.strip() for name, _, value in (line.partition(":") for line in said)}


def test_it_goes_first_if_memory_is_short(shown: dict[str, str]) -> None:
    assert shown["Oom"] == "500"
    assert int(shown["Nice"]) >= 10


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
def test_it_gets_no_more_privileges(shown: dict[str, str]) -> None:
    assert shown["NoNewPrivs"] == "1"


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
@pytest.mark.skipif(not module_loader.has_capability(8), reason="needs CAP_SETPCAP")
def test_it_may_read_files_and_addresses(shown: dict[str, str]) -> None:
    assert os.geteuid() == 0
    for name in ("CapBnd", "CapEff", "CapPrm"):
        assert int(shown[name], 16) & ~(SYSLOG | OVERRIDE | SEARCH) == 0
