# SPDX-License-Identifier: GPL-2.0-or-later
"""The module cache returns a module only if all of its inputs are unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.driver import module_cache, tapset_index
from compiler.driver.module_cache import CompileJob
from compiler.protocol import Pass, Request, Response
from compiler.support.content_store import Cache, key_of

MADE = key_of("a module")


@pytest.fixture
def job(tmp_path: Path) -> CompileJob:
    request = Request("x", text="probe begin {}", output=str(tmp_path / "out"))
    cache = Cache(tmp_path / "cache")
    return CompileJob(
        request, "<x>", "probe begin {}", tapset_index.read(), None, cache, "abc1", "sw_x_abc1"
    )


@pytest.fixture
def compiler(job: CompileJob, tmp_path: Path) -> Path:
    """The job has a cached result; `tool` is a tool that the module was built with."""
    tool = tmp_path / "gcc"
    tool.write_text("1")
    job.cache.put(MADE, {"sw_x_abc1.ko": b"code"})
    done = Response(True, passes=(Pass(1, "parsed", 0.1, 0.0, 0.1, "x"),))
    module_cache.store(job, done, MADE, [tool, tmp_path / "missing"])
    return tool


def test_the_answer_is_what_was_made(job: CompileJob, compiler: Path) -> None:
    found = module_cache.cached_result(job)
    assert found is not None and found.ok and found.cached
    assert (found.module, found.identity) == ("sw_x_abc1", "abc1")
    assert Path(found.path).read_bytes() == b"code"
    assert Path(found.path).parent == Path(job.request.output or "")
    assert [p.title for p in found.passes] == ["parsed"]


def test_nothing_made_is_no_answer(job: CompileJob) -> None:
    assert module_cache.cached_result(job) is None


def _grow(tool: Path, cache: Cache) -> None:
    tool.write_text("version 2")


def _touch(tool: Path, cache: Cache) -> None:
    os.utime(tool, ns=(1, 1))


def _remove(tool: Path, cache: Cache) -> None:
    tool.unlink()


def _appear(tool: Path, cache: Cache) -> None:
    (tool.parent / "missing").write_text("now there")


def _damage(tool: Path, cache: Cache) -> None:
    entry = cache.get(MADE)
    assert entry is not None
    entry.path("sw_x_abc1.ko").write_bytes(b"evil")


def _evict(tool: Path, cache: Cache) -> None:
    cache.drop(MADE)


@pytest.mark.parametrize("change", [_grow, _touch, _remove, _appear, _damage, _evict])
def test_a_change_of_what_it_depends_on_makes_it_none(
    job: CompileJob, compiler: Path, change: Callable[[Path, Cache], None]
) -> None:
    change(compiler, job.cache)
    assert module_cache.cached_result(job) is None
    assert module_cache.cached_result(job) is None
