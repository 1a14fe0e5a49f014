# SPDX-License-Identifier: GPL-2.0-or-later
"""Variants: the first that compiles is taken, and what a change of one of them means."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pytest

from agent.config.budgets import Budgets
from agent.config.rollout_settings import RolloutSettings, Variant
from agent.config.settings import (
    CompileSettings,
    MetricAlert,
    MetricSettings,
    ScriptSettings,
    Settings,
)
from agent.config.yaml_tree import Position
from agent.scripts import variants
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.scripts.compile_worker import Progress
from compiler.protocol import Diagnostic, Request
from runtime.support.record import replace
from tests.agent import standin
from tests.agent.conftest import run

HERE = Position("test.yaml", 1, 1)


def script(*found: Variant, **fields: object) -> ScriptSettings:
    given = {"text": "ok base", "revision": "r1", **fields}
    return ScriptSettings("a", HERE, rollout=RolloutSettings(variants=found), **given)  # type: ignore[arg-type]


def settings(folder: Path) -> Settings:
    return Settings(
        work_folder=folder, cache_folder=folder, compile=CompileSettings(timeout=30, jobs=1)
    )


def compiled(folder: Path, given: ScriptSettings) -> Compiled:
    wanted = settings(folder)
    candidates = variants.candidates(given, wanted)
    return run(variants.compile_first(standin.compiler(wanted), candidates))


def test_the_first_that_compiles(tmp_path: Path) -> None:
    """Later ones are not looked at, and earlier ones are no failure."""
    (tmp_path / "new.stp").write_text("bad")
    (tmp_path / "old.stp").write_text("ok old")
    found = compiled(
        tmp_path,
        script(
            Variant("new", tmp_path / "new.stp"),
            Variant("old", tmp_path / "old.stp"),
            Variant("hang", text="hang"),
        ),
    )
    assert (found.variant, found.revision) == ("old", "r1")
    assert found.module == standin.manifest("ok old", "a", "[[], {}]").module


def test_a_script_without_variants(tmp_path: Path) -> None:
    found = compiled(tmp_path, script())
    assert (found.variant, found.revision) == ("", "r1")


def test_when_none_compiles_each_is_told(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(tmp_path, script(Variant("new", text="bad"), Variant("old", text="bad")))
    messages = [diagnostic.message for diagnostic in caught.value.diagnostics]
    assert messages == ["variant new: no"] * 2 + ["variant old: no"] * 2


def test_a_compiler_that_crashes_decides_nothing(tmp_path: Path) -> None:
    """Or a lack of memory would put an older variant in force."""
    with pytest.raises(CompileError) as caught:
        compiled(tmp_path, script(Variant("new", text="crash"), Variant("old", text="ok")))
    assert [diagnostic.slug for diagnostic in caught.value.diagnostics] == ["compiler-crash"]


def test_a_variant_may_only_have_other_defines(tmp_path: Path) -> None:
    given = script(Variant("big", defines={"MAXACTION": "9"}), defines={"A": "1", "MAXACTION": "1"})
    [one] = variants.candidates(given, settings(tmp_path))
    assert (one.request.text, one.request.defines) == ("ok base", {"A": "1", "MAXACTION": "9"})


def test_a_revision_is_the_beginning_of_sha256sum(tmp_path: Path) -> None:
    file = tmp_path / "a.stp"
    file.write_bytes(b"probe begin {}\xff\n")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert variants.revision(script(text=None, file=file)) == digest[:12]
    assert variants.revision(script(text="\udcff")) == hashlib.sha256(b"\xff").hexdigest()[:12]


def test_a_change_of_any_variant_is_one_of_the_script(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    first = script(Variant("new", text="1"), Variant("old", text="2"))
    others = [
        script(Variant("new", text="1"), Variant("old", text="3")),
        script(Variant("old", text="2"), Variant("new", text="1")),
        script(Variant("new", text="1")),
    ]

    def all_of(given: ScriptSettings) -> tuple[str, str, str]:
        found = variants.candidates(given, wanted)
        seen = variants.read(given, wanted)
        assert variants.is_as_before(given, wanted, seen)
        assert all(
            not variants.is_as_before(other, wanted, seen) for other in others if other is not given
        )
        return variants.revision(given), seen.fingerprint, variants.made_of(found)

    for other in others:
        for before, after in zip(all_of(first), all_of(other), strict=True):
            assert before != after


def test_where_a_file_is_does_not_matter_for_a_plan(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    found = []
    for folder in (tmp_path / "etc", tmp_path / "new"):
        folder.mkdir()
        (folder / "a.stp").write_text("ok")
        candidates = variants.candidates(script(text=None, file=folder / "a.stp"), wanted)
        found.append(variants.made_of(candidates))
    (tmp_path / "new/a.stp").write_text("ok 2")
    found.append(variants.made_of(candidates))
    other = variants.candidates(script(text=None, file=tmp_path / "etc/a.stp", guru=True), wanted)
    found.append(variants.made_of(other))
    assert found[0] == found[1] and len(set(found)) == 3


def test_what_can_be_set_while_a_module_runs() -> None:
    given = script(metrics={"n": MetricSettings("n", HERE)})
    moved = replace(given, metrics={"n": MetricSettings("n", Position("test.yaml", 9, 9))})
    assert variants.tuned(given) == variants.tuned(moved)
    alert = MetricAlert(above=Decimal(1))  # for Prometheus only
    warned = replace(given, metrics={"n": MetricSettings("n", HERE, alerts=(alert,))})
    assert variants.tuned(given) == variants.tuned(warned)
    helped = replace(given, metrics={"n": MetricSettings("n", HERE, help="x")})
    others = [helped, replace(given, budgets=Budgets(cpu=1)), replace(given, max_errors=1)]
    assert len({variants.tuned(other) for other in (given, *others)}) == 4


def test_without_a_compiler_the_variant_that_is_there(tmp_path: Path) -> None:
    """Another machine has chosen it, and its module was fetched."""

    class Stored(Compiler):
        async def find(self, wanted: Request) -> Compiled | None:
            return await super().build(wanted) if wanted.text == "ok old" else None

        async def build(self, wanted: Request, progress: Progress = print) -> Compiled:
            raise CompileError([Diagnostic(self.slug, "no")])

        slug = "no-compiler"

    given = script(
        Variant("new", text="ok new"),
        Variant("old", text="ok old"),
        Variant("last", text="ok last"),
    )
    wanted = settings(tmp_path)
    compiler = Stored(wanted.compile, standin.COMMAND)
    candidates = variants.candidates(given, wanted)
    assert run(variants.compile_first(compiler, candidates)).variant == "old"
    compiler.slug = "compiler-crash"
    with pytest.raises(CompileError):
        run(variants.compile_first(compiler, candidates))
