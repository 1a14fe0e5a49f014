# SPDX-License-Identifier: GPL-2.0-or-later
"""The module cache returns a module only if all of its inputs are unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.driver import module_cache, tapset_index, unsafe_runtimes
from compiler.driver.module_cache import CompileJob
from compiler.driver.unsafe_runtimes import UnsafeRuntime
from compiler.protocol import Pass, Request, Response
from compiler.support.content_store import Cache, key_of
from runtime.support.record import replace

MADE = key_of("a module")


@pytest.fixture
def job(tmp_path: Path) -> CompileJob:
    request = Request("x", text="probe begin {}", output=str(tmp_path / "out"))
    cache = Cache(tmp_path / "cache")
    return CompileJob(
        request,
        "<x>",
        "probe begin {}",
        tapset_index.read(),
        None,
        cache,
        "abc1",
        "sw_x_abc1",
        compiler="2.0+aa",
    )


@pytest.fixture
def probed(job: CompileJob, tmp_path: Path) -> Path:
    """The job has a cached result, whose module probes this program."""
    tool = tmp_path / "sshd"
    tool.write_text("1")
    job.cache.put(MADE, {"sw_x_abc1.ko": b"code"})
    passes = (Pass(1, "parsed", 0.1, 0.0, 0.1, "x"),)
    inputs = (str(tool), str(tmp_path / "missing"))
    done = Response(True, job.module, passes=passes, inputs=inputs)
    module_cache.store(job, done, MADE)
    return tool


def test_the_answer_is_what_was_made(job: CompileJob, probed: Path) -> None:
    found = module_cache.look_up(job).response
    assert found is not None and found.ok and found.cached
    assert (found.module, found.identity) == ("sw_x_abc1", "abc1")
    assert Path(found.path).read_bytes() == b"code"
    assert Path(found.path).parent == Path(job.request.output or "")
    assert [p.title for p in found.passes] == ["parsed"]


def test_a_module_is_forgotten(job: CompileJob, probed: Path) -> None:
    module_cache.forget(job.cache, "another")
    assert module_cache.look_up(job).response is not None
    module_cache.forget(job.cache, job.identity)
    assert module_cache.look_up(job).response is None
    assert list((job.cache.root / "entries").glob("*/*")) == []


def test_nothing_made_is_no_answer(job: CompileJob) -> None:
    assert module_cache.look_up(job).response is None


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


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_grow, "sshd has changed"),
        (_touch, "sshd has changed"),
        (_remove, "sshd has changed"),
        (_appear, "missing has changed"),
        (_damage, "was damaged"),
        (_evict, "was removed"),
    ],
)
def test_what_makes_a_module_unusable_is_told_by_name(
    job: CompileJob, probed: Path, change: Callable[[Path, Cache], None], why: str
) -> None:
    change(probed, job.cache)
    for _ in range(2):
        found = module_cache.look_up(job)
        assert found.response is None and why in found.why


def older(job: CompileJob, compiler: str = "3.0+bb", **options: bool) -> CompileJob:
    """The same job of another compiler."""
    return replace(
        job, compiler=compiler, module="sw_x_other", request=replace(job.request, **options)
    )


@pytest.mark.parametrize("compiler", ["3.0+bb", "1.0+cc"])  # an upgrade, a downgrade
def test_another_compilers_module_serves_in_its_boot(
    job: CompileJob, probed: Path, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = module_cache.look_up(older(job, compiler, older=True)).response
    assert found is not None and found.module == "sw_x_abc1"
    assert Path(found.path).name == "sw_x_abc1.ko" and Path(found.path).exists()
    monkeypatch.setattr(module_cache, "boot_id", lambda: "the next one")
    later = module_cache.look_up(older(job, compiler, older=True))
    assert later.response is None and "stapwatch 2.0+aa compiled it" in later.why
    assert later.older is not None, "for a machine that cannot compile"
    assert module_cache.look_up(job).response is not None, "its own compiler uses it in any boot"
    found = module_cache.look_up(older(job, compiler, older=True)).response
    assert found is not None, "it was in use in this boot"


def test_a_run_takes_no_older_compilers_module(job: CompileJob, probed: Path) -> None:
    assert module_cache.look_up(older(job)).response is None


def test_recompiling_looks_nothing_up_and_replaces_the_entry(
    job: CompileJob, probed: Path, tmp_path: Path
) -> None:
    again = older(job, job.compiler, recompile=True)
    assert module_cache.look_up(again) == module_cache.Lookup()
    key = key_of("made anew")
    job.cache.put(key, {"sw_x_other.ko": b"new"})
    module_cache.store(again, Response(True, again.module), key)
    found = module_cache.look_up(job).response
    assert found is not None and found.module == "sw_x_other"


def test_an_explanation_is_never_from_the_cache(job: CompileJob, probed: Path) -> None:
    """It is what the passes say. Its module is that of the same request without it."""
    assert module_cache.look_up(job).response is not None
    explaining = replace(job, request=replace(job.request, explain=True))
    assert module_cache.look_up(explaining) == module_cache.Lookup()


def test_an_unsafe_releases_module_never_serves(
    job: CompileJob, probed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsafe_runtimes, "UNSAFE", (UnsafeRuntime("1.9", "2.1", "leaks memory"),))
    found = module_cache.look_up(older(job, older=True))
    assert found.response is None and found.older is None
    assert found.why == (
        "it was compiled by stapwatch 2.0, whose runtime leaks memory (fixed in 2.1)"
    )


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """The identity and the name of a module for a request of a compiler."""
    monkeypatch.setattr(module_cache, "running_build_id", lambda: b"build")

    def made(compiler: str = "2.0+aa", **changes: object) -> tuple[str, str]:
        monkeypatch.setattr(module_cache, "compiler_version", lambda folder: compiler)
        request = Request("x", text="probe begin {}", cache=str(tmp_path / "cache"))
        job = module_cache.load(replace(request, **changes))
        return job.identity, job.module

    return made


def test_an_identity_is_what_a_module_does(names: Callable[..., tuple[str, str]]) -> None:
    identity, name = names()
    assert names() == (identity, name)
    assert names(older=True, output="/x", last_pass=2) == (identity, name)
    assert names(explain=True) == (identity, name)
    newer = names("3.0+bb")
    assert newer[0] == identity and newer[1] != name, "both can be loaded at once"
    again = [names(recompile=True) for _ in range(2)]
    assert {found[0] for found in again} == {identity}
    assert len({name, *(found[1] for found in again)}) == 3
    for other in ({"text": "probe end {}"}, {"guru": True}, {"args": ("1",)}, {"name": "y"}):
        assert names(**other)[0] != identity


@pytest.mark.parametrize(
    ("point", "searched"),
    [
        ('process("ls").begin', True),
        ('process ( "bin/ls" ).begin', True),
        ("process(@1).begin", True),
        ('process("/bin/ls").begin', False),
        ('process("/bin/""ls").library("libc.so.6").function("f")', False),
        ("process(1).begin", False),
        ("process.begin", False),
        ("begin { println(process(1)) } probe end", False),
    ],
)
def test_only_a_searched_program_depends_on_the_search_path(
    names: Callable[..., tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    point: str,
    searched: bool,
) -> None:
    asked = {"text": f"probe {point} {{}}", "args": ("ls",)}
    before = names(**asked)
    monkeypatch.setenv("PATH", "/elsewhere")
    assert (names(**asked) != before) is searched
    before = names(**asked)
    monkeypatch.chdir(tmp_path)
    assert (names(**asked) != before) is searched
    assert names(**asked, target="/bin/true")[0] != before[0]


@pytest.mark.parametrize(
    ("body", "walks"),
    [
        ("println(ustack(1))", True),
        ("print_ubacktrace()", True),
        ("println(ucallers(2))", True),
        ("print_backtrace() println(stack(1))", False),
    ],
)
def test_only_a_walk_of_stacks_depends_on_the_target(
    names: Callable[..., tuple[str, str]], body: str, walks: bool
) -> None:
    asked = {"text": f"probe timer.profile {{ {body} }}"}
    assert (names(**asked) != names(**asked, target="/bin/true")) is walks
