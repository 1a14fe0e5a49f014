# SPDX-License-Identifier: GPL-2.0-or-later
"""A probe whose condition is false is not attached: ftrace's own list is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, compile_case, run_in_guest

PGID, SID, UMASK = "__x64_sys_getpgid", "__x64_sys_getsid", "__x64_sys_umask"
SCRIPT = f"""
global on, once = 3, n
probe kernel.function("ksys_lseek") {{ if (pid() == target() && $whence == 3) on = $offset }}
probe kernel.function("{PGID}") if (on == 1 || on == 3) {{ if (pid() == target()) n["function"]++ }}
probe kprobe.function("{SID}").return if (on >= 2) {{ if (pid() == target()) n["return"]++ }}
probe kernel.function("{UMASK}") if (once) {{ if (pid() == target()) once-- }}
probe timer.ms(10) if (on > 2) {{ n["timer"]++ }}
probe kernel.trace("sys_enter") if (on & 1) {{ if (pid() == target()) n["trace"]++ }}
probe timer.ms(20) if (n["never"] == 0) {{ n["always"]++ }}
"""
# the switch, the functions that ftrace lists, and which probes are attached: lseek, getpgid, getsid's return,
# umask (whose own handler has detached its hook after three hits), a timer, a tracepoint, a probe that is
# always attached
STEPS = [
    (on, traced, [bool(armed) for armed in (1, on in (1, 3), on >= 2, 0, on > 2, on & 1, 1)])
    for on, traced in ((0, []), (1, [PGID]), (2, [SID]), (3, [PGID, SID]), (0, []))
]


@pytest.fixture(scope="module")
def result(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("arming")
    response = compile_case(Case("arming", SCRIPT), image, folder)
    assert response["ok"], response["errors"]
    module = f"/tmp/{response['module']}.ko"
    guest.push(Path(response["path"]), module)
    return run_in_guest(guest, "arming.py", [module, json.dumps(STEPS)], folder, 300)


def test_hooks_come_and_go(result: dict[str, Any]) -> None:
    """The last step is repeated after the switch has changed faster than hooks can be attached and
    detached."""
    wanted = [*STEPS, STEPS[-1]]
    assert [step["traced"] for step in result["steps"]] == [traced for _, traced, _ in wanted]
    assert [step["armed"] for step in result["steps"]] == [armed for _, _, armed in wanted]
    assert result["left"] == []


def test_nothing_hits_what_is_disarmed(result: dict[str, Any]) -> None:
    before, after = (result["steps"][i]["hits"] for i in (3, 4))
    hits = [step["hits"] for step in result["steps"]]
    assert hits[0][1] == hits[0][2] == hits[0][5] == 0
    assert hits[1][1] >= 10 and hits[1][2] == 0
    assert hits[2][2] >= 10 and hits[2][1] == hits[1][1]
    assert hits[3][1] >= hits[2][1] + 10 and hits[3][2] >= hits[2][2] + 10
    assert after[1] == before[1] and after[2] == before[2]


def test_a_probe_may_disarm_itself(result: dict[str, Any]) -> None:
    assert result["tables"]["once"] == [0]


def test_no_error_is_reported(result: dict[str, Any]) -> None:
    assert result["errors"] == []
