# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tools a compile runs. What the passes do is tested with the passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.driver import pipeline, tapset_index
from compiler.driver.module_cache import CompileJob
from compiler.modbuild.toolchain import ChrootToolchain, HostToolchain, Toolchain
from compiler.protocol import Request
from compiler.support.content_store import Cache


@pytest.mark.parametrize(
    ("root", "toolchain"),
    [(None, HostToolchain), ("/", HostToolchain), ("/srv/guest", ChrootToolchain)],
)
def test_only_another_system_has_a_compiler_of_its_own(
    tmp_path: Path, root: str | None, toolchain: type[Toolchain]
) -> None:
    """Another kernel of this system is compiled for in the sandbox, which cannot change its root."""
    kernel = {"root": root, "release": "6.1.0-57"} if root is not None else None
    request = Request("x", text="", kernel=kernel)
    cache = Cache(tmp_path / "cache")
    job = CompileJob(request, "<x>", "", tapset_index.read(), None, cache, "ab", "sw_x_ab")
    assert isinstance(pipeline._toolchain(job), toolchain)
