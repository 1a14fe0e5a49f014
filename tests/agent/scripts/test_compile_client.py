# SPDX-License-Identifier: GPL-2.0-or-later
"""Compilers that respond, fail, crash, hang, write invalid output or use too much memory; and the real
one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import CompileSettings, ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.scripts import compile_client
from agent.scripts.compile_client import CompileError, Compiler
from agent.timeout import timeout
from compiler.protocol import Diagnostic, Request
from runtime.support.record import replace
from tests.agent import standin
from tests.agent.conftest import run

OTHERS: set[str] = set()


@pytest.fixture(scope="module", autouse=True)
def others() -> None:
    """Record existing children, such as multiprocessing's resource tracker after a test that uses it."""
    OTHERS.update(child_processes())


def request(text: str, output: Path) -> Request:
    settings = Settings(work_folder=output, cache_folder=output)
    return compile_client.request(ScriptSettings("x", Position("t"), text=text), settings)


def failure(text: str, output: Path, **settings: Any) -> Diagnostic:
    compiler = Compiler(CompileSettings(**settings), standin.COMMAND)
    with pytest.raises(CompileError) as caught:
        run(compiler.compile(request(text, output)))
    return caught.value.diagnostics[0]


def test_success(tmp_path: Path) -> None:
    said: list[str] = []
    compiler = Compiler(CompileSettings(), standin.COMMAND)
    compiled = run(compiler.compile(request("ok 1", tmp_path), said.append))
    assert compiled.path.exists() and compiled.module.startswith("sw_x_")
    assert said == ["working"]


def test_diagnostics(tmp_path: Path) -> None:
    assert str(failure("bad", tmp_path)) == "x.stp:3:5: error[syntax]: no"


def test_crash(tmp_path: Path) -> None:
    found = failure("crash", tmp_path)
    assert found.slug == "compiler-crash"
    assert found.message == "the compiler was ended by signal 11 (SIGSEGV)"


def test_nonsense_shows_the_last_line_of_the_traceback(tmp_path: Path) -> None:
    found = failure("noise", tmp_path)
    assert (
        found.message == "the compiler ended with status 1 and no answer: RuntimeError: out of luck"
    )


def test_a_compiler_of_another_version(tmp_path: Path) -> None:
    """Its response has a field that this agent does not know."""
    assert failure("newer", tmp_path).message == (
        "the compiler ended with status 0 and a bad answer: unknown in a compile response: novelty"
    )


def test_memory_is_bounded(tmp_path: Path) -> None:
    assert "MemoryError" in failure("eat", tmp_path, memory=512).message


def test_time_is_bounded_and_children_die(tmp_path: Path) -> None:
    found = failure("hang", tmp_path, timeout=1.0)
    assert found.slug == "compile-timeout" and "1 s" in found.message


def test_cancelling_ends_the_child(tmp_path: Path) -> None:
    async def work() -> None:
        compiler = Compiler(CompileSettings(), standin.COMMAND)
        task = asyncio.create_task(compiler.compile(request("hang", tmp_path)))
        while not (children := child_processes()):
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with timeout(30):  # killed; the loop reaps it when it is notified
            while any(Path(f"/proc/{pid}").exists() for pid in children):
                await asyncio.sleep(0.005)

    run(work())


def compile_all(texts: list[str], output: Path, **settings: Any) -> list[Any]:
    """Compiled or CompileError for each text; afterwards no child may be left."""

    async def work() -> list[Any]:
        compiler = Compiler(CompileSettings(**settings), standin.COMMAND)
        jobs = (compiler.compile(request(text, output)) for text in texts)
        found = await asyncio.gather(*jobs, return_exceptions=True)
        assert child_processes() == []
        return found

    return run(work())


def test_children_serve_as_long_as_requests_wait(tmp_path: Path) -> None:
    found = compile_all([f"ok {i}" for i in range(12)], tmp_path, jobs=2)
    served = [compiled.output.split() for compiled in found]
    assert len({pid for pid, _ in served}) <= 2
    assert max(int(number) for _, number in served) >= 5


def test_a_script_that_fails_in_a_used_child_gets_one_of_its_own(tmp_path: Path) -> None:
    first, second, third = compile_all(["ok 1", "second 2", "ok 3"], tmp_path, jobs=1)
    assert second.output.split()[1] == "0"
    assert len({c.output.split()[0] for c in (first, second, third)}) == 2


@pytest.mark.parametrize("bad", ["crash", "noise", "hang"])
def test_one_bad_script_costs_only_itself(tmp_path: Path, bad: str) -> None:
    texts = ["ok 1", bad, "ok 2", "ok 3", bad, "ok 4"]
    found = compile_all(texts, tmp_path, jobs=1, timeout=2.0)
    assert [isinstance(one, CompileError) for one in found] == [text == bad for text in texts]


def test_memory_is_bounded_for_each_child(tmp_path: Path) -> None:
    found = compile_all(["ok 1", "eat", "ok 2"], tmp_path, jobs=1, memory=512)
    assert [isinstance(one, CompileError) for one in found] == [False, True, False]


def test_waiting_scripts_can_be_cancelled(tmp_path: Path) -> None:
    async def work() -> None:
        compiler = Compiler(CompileSettings(jobs=1), standin.COMMAND)
        tasks = [
            asyncio.create_task(compiler.compile(request(text, tmp_path)))
            for text in ("ok 1", "hang", "ok 2", "ok 3")
        ]
        await tasks[0]
        while not child_processes():
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert child_processes() == []

    run(work())


def child_processes() -> list[str]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in found if pid not in OTHERS]


def test_no_compiler(tmp_path: Path) -> None:
    compiler = Compiler(CompileSettings(), ("/nonexistent/compiler",))
    with pytest.raises(CompileError, match="cannot start the compiler: No such file"):
        run(compiler.compile(request("ok", tmp_path)))


def test_fingerprint_is_of_text_and_options(tmp_path: Path) -> None:
    file = tmp_path / "x.stp"
    file.write_bytes(b"probe begin {} // \xff")
    settings = Settings(work_folder=tmp_path)

    def digest(**given: Any) -> str:
        script = ScriptSettings("x", Position("t"), file=file, **given)
        return compile_client.fingerprint(compile_client.request(script, settings))

    first = digest()
    assert digest() == first
    assert len({first, digest(args=("a",)), digest(globals={"a": 1}), digest(guru=True)}) == 4
    file.write_bytes(b"probe end {}")
    assert digest() != first


def test_the_real_compiler_reports_every_mistake(tmp_path: Path) -> None:
    wanted = request("probe begin { nosuch() } probe end { neither() }", tmp_path)
    wanted = replace(wanted, last_pass=2)
    with pytest.raises(CompileError) as caught:
        run(Compiler().compile(wanted))
    assert ["nosuch" in str(d) or "neither" in str(d) for d in caught.value.diagnostics] == [
        True,
        True,
    ]


def test_the_real_compiler_prints_the_tree(tmp_path: Path) -> None:
    wanted = request("probe begin { exit() }", tmp_path)
    wanted = replace(wanted, last_pass=1)
    assert "exit()" in run(Compiler().compile(wanted)).output


def test_a_slow_compile_steps_aside(tmp_path: Path) -> None:
    """There is one place, and one more for those that have stepped aside."""

    async def work() -> None:
        compiler = Compiler(CompileSettings(jobs=1), standin.COMMAND, patience=0.01)
        slow = [asyncio.create_task(compiler.compile(request("hang", tmp_path))) for _ in range(2)]
        while len(child_processes()) < 2:
            await asyncio.sleep(0.005)
        quick = asyncio.create_task(compiler.compile(request("ok 1", tmp_path)))
        await asyncio.wait([quick], timeout=0.1)
        assert not quick.done() and len(child_processes()) == 2, "no more than twice the jobs"
        slow[0].cancel()
        assert (await quick).module
        slow[1].cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    run(work())


def test_a_killed_compiler_is_asked_once_more(tmp_path: Path) -> None:
    found = failure("killed", tmp_path)
    assert found.message == "the compiler was ended by signal 9 (SIGKILL)"
    said: list[str] = []
    compiler = Compiler(CompileSettings(), standin.COMMAND)
    with pytest.raises(CompileError):
        run(compiler.compile(request("killed", tmp_path), said.append))
    assert said == ["the compiler was ended by signal 9 (SIGKILL); it is tried again"]


def test_a_file_is_read_again_only_if_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.stp"
    file.write_text("ok 1")
    script, settings = ScriptSettings("a", Position("t"), file=file), Settings()
    young = compile_client.describe(script, settings)
    assert young.file is None, "a second write in the same tick would go unnoticed"
    assert not compile_client.is_as_before(script, settings, young)
    monkeypatch.setattr(compile_client, "_TICK_NS", -(10**12))
    old = compile_client.describe(script, settings)
    assert old.fingerprint == young.fingerprint
    assert compile_client.is_as_before(script, settings, old)
    assert compile_client.describe(script, settings, old) is old
    other = replace(script, args=("1",))
    assert not compile_client.is_as_before(other, settings, old)
    assert compile_client.describe(other, settings, old).fingerprint != old.fingerprint
    file.write_text("ok 2")
    assert not compile_client.is_as_before(script, settings, old)
    file.unlink()
    assert not compile_client.is_as_before(script, settings, old)
    with pytest.raises(OSError, match=r"a\.stp"):
        compile_client.describe(script, settings, old)
