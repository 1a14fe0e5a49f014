# SPDX-License-Identifier: GPL-2.0-or-later
"""A file in /proc whose handler does not run says so, and the hit is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, compile_case, run_in_guest

SCRIPT = """
global shared
probe procfs("text").read { $value = "text\\n" }
probe procfs("shared").read { shared["read"] = shared["read"] + 1 $value = "shared\\n" }
probe procfs("stop").write { exit() }
global on
probe procfs("open").write { on["files"] = 1 }
probe procfs("element").read if (on["files"]) { $value = "element\\n" }
probe kernel.function("__x64_sys_getpgid") { for (i = 0; i < 300; i++) shared["held"] = i }
"""


@pytest.fixture(scope="module")
def result(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("procfs")
    case = Case("files", SCRIPT, defines={"MAXTRYLOCK": "1", "TRYLOCKDELAY": "1"})
    response = compile_case(case, image, folder)
    assert response["ok"], response["errors"]
    module = f"/tmp/{response['module']}.ko"
    guest.push(Path(response["path"]), module)
    return run_in_guest(guest, "procfs.py", [module], folder, 300)


def test_handlers_that_run(result: dict[str, Any]) -> None:
    assert (result["before"], result["stop"]) == ("text\n", "written")
    assert not result["gone"]


def test_disabled_handlers_answer_busy(result: dict[str, Any]) -> None:
    assert (result["read"], result["write"]) == ("EBUSY", "EBUSY")
    assert result["retry"] == ["EBUSY", "EBUSY"]


def test_a_lock_that_stays_held_answers_busy(result: dict[str, Any]) -> None:
    assert result["busy"] == 1, f"{result['tries']} reads"


def test_a_false_condition_answers_busy(result: dict[str, Any]) -> None:
    assert result["condition"] == ["EBUSY", "written", "element\n"]
    assert result["counts"]['procfs("element").read'] == [2, 0, 0, 0]


def test_every_hit_is_counted(result: dict[str, Any]) -> None:
    """hits, skipped inside another handler, skipped for a lock, missed."""
    counts = result["counts"]
    assert counts['procfs("text").read'] == [1, 0, 0, 3]
    assert counts['procfs("stop").write'] == [1, 0, 0, 1]
    assert counts['procfs("shared").read'] == [result["tries"], 0, 1, 0]
