# SPDX-License-Identifier: GPL-2.0-or-later
"""Which scripts are compiled for the next kernel, and what is remembered. tests/packaging/ boots into one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from agent.config import load
from agent.config.settings import Settings
from agent.daemon import next_kernel
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.exposition.render import Format
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.scripts.compile_worker import Progress
from agent.scripts.prepared_kernels import OUTDATED, PreparedKernel, PreparedKernels, State
from compiler.protocol import Diagnostic, Request
from runtime.support.record import replace
from tests.agent import pages
from tests.agent.conftest import run

RELEASE = "7.2.1-amd64"
VERSION = "0.1.0+aa"
CONFIG = """\
scripts:
  plain: {text: "probe end {}"}
  off: {text: "probe end {}", enabled: false}
  here: {text: "probe end {}", when: {kernel: "7.2"}}
  elsewhere: {text: "probe end {}", when: {kernel: "<7"}}
  later: {text: "probe end {}", from: 2999-01-01T00:00Z}
  two:
    text: "probe end {}"
    variants: [{name: new, defines: {MAXACTION: 1}}, {name: old, defines: {MAXACTION: 2}}]
cache_folder: /nowhere
"""


@dataclass
class Answers:
    """Compiles everything but what `errors` names, by script or by variant's option."""

    errors: dict[str, str] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    async def version(self, cache_folder: Path) -> str:
        return VERSION

    async def compile(self, wanted: Request, progress: Progress) -> Compiled:
        self.asked.append(wanted)
        for name in (wanted.name, *(f"{wanted.name} {value}" for value in wanted.defines.values())):
            if slug := self.errors.get(name):
                raise CompileError([Diagnostic(slug, f"{name} is wrong")])
        return Compiled(f"sw_{wanted.name}", Path(), f"id of {wanted.name}", False, 0.1)

    async def drop(self, identity: str, cache_folder: Path) -> None:
        assert cache_folder == Path("/nowhere")
        self.dropped.append(identity)


@pytest.fixture
def settings() -> Settings:
    return load.loads(CONFIG)


def prepared(settings: Settings, folder: Path, answers: Answers) -> PreparedKernel:
    records = PreparedKernels(folder)
    work = next_kernel.prepare(settings, RELEASE, cast(Compiler, answers), records)
    kernel = run(work)
    assert records.all() == (kernel,)
    return kernel


def test_scripts_that_would_run_on_it(settings: Settings, tmp_path: Path) -> None:
    answers = Answers()
    kernel = prepared(settings, tmp_path, answers)
    names = ["here", "later", "plain", "two"]
    assert sorted(request.name for request in answers.asked) == names
    for request in answers.asked:
        assert request.kernel == {"root": "/", "release": RELEASE}
        assert request.output is None and not request.older
    assert (kernel.state, kernel.scripts, kernel.failed) == (State.READY, 4, {})
    assert sorted(kernel.identities) == [f"id of {name}" for name in names]


def test_a_script_that_does_not_compile(settings: Settings, tmp_path: Path) -> None:
    kernel = prepared(settings, tmp_path, Answers({"plain": "type-mismatch", "two 1": "unknown"}))
    assert kernel.state is State.FAILED
    assert dict(kernel.failed) == {"plain": "plain is wrong"}
    assert "id of two" in kernel.identities, "its second variant compiles"


def test_before_its_headers_come(settings: Settings, tmp_path: Path) -> None:
    errors = dict.fromkeys(("plain", "here", "later", "two"), "no-headers")
    kernel = prepared(settings, tmp_path, Answers(errors))
    assert (kernel.state, len(kernel.failed), kernel.identities) == (State.NO_HEADERS, 4, ())
    errors["here"] = "type-mismatch"
    assert prepared(settings, tmp_path, Answers(errors)).state is State.FAILED


def test_a_script_whose_settings_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "stapwatch.yaml").write_text("scripts: {bad: {text: 'probe end {}', gurru: 1}}\n")
    settings = load.load(tmp_path / "stapwatch.yaml", insecure_files=True)
    kernel = prepared(settings, tmp_path, Answers())
    assert kernel.state is State.FAILED and "unknown key 'gurru'" in kernel.failed["bad"]


def test_a_kernel_that_is_gone(settings: Settings, tmp_path: Path) -> None:
    answers, records = Answers(), PreparedKernels(tmp_path)
    kernel = prepared(settings, tmp_path, answers)
    compiler = cast(Compiler, answers)
    assert run(next_kernel.forget(settings, RELEASE, compiler, records)) == 4
    assert answers.dropped == list(kernel.identities) and records.all() == ()
    assert run(next_kernel.forget(settings, RELEASE, compiler, records)) == 0


def outdated(text: str, folder: Path, version: str = VERSION) -> list[str]:
    return next_kernel.outdated(load.loads(text), version, PreparedKernels(folder))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('plain: {text: "probe end {}', 'plain: {text: "probe begin {}'),
        ('off: {text: "probe end {}", enabled: false}', 'off: {text: "probe end {}"}'),
        ("MAXACTION: 2", "MAXACTION: 3"),
        ("  later:", '  added: {text: "probe end {}"}\n  later:'),
        ('  plain: {text: "probe end {}"}\n', ""),
    ],
)
def test_what_outdates_a_preparation(
    settings: Settings, tmp_path: Path, old: str, new: str
) -> None:
    prepared(settings, tmp_path, Answers())
    assert outdated(CONFIG, tmp_path) == []
    assert CONFIG.count(old) == 1
    assert outdated(CONFIG.replace(old, new), tmp_path) == [RELEASE]


def test_what_does_not(settings: Settings, tmp_path: Path) -> None:
    """A failure either: what does not compile does not compile again at each reload."""
    prepared(settings, tmp_path, Answers({"plain": "type-mismatch"}))
    elsewhere = CONFIG.replace('elsewhere: {text: "probe end', 'elsewhere: {text: "probe begin')
    written = CONFIG.replace("cache_folder: /nowhere", "cache_folder: /nowhere  # as before")
    for text in (elsewhere, written, f"log: {{level: debug}}\n{CONFIG}"):
        assert text != CONFIG and outdated(text, tmp_path) == []
    assert outdated(CONFIG, tmp_path, "0.2.0+bb") == [RELEASE], "another compiler"


def test_the_kernel_that_runs_is_not_prepared_again(tmp_path: Path) -> None:
    """But one of its release is that was installed since the boot."""
    records = PreparedKernels(tmp_path)
    for boot, found in (("an earlier one", []), (next_kernel._boot(), [os.uname().release])):
        records.save(PreparedKernel(os.uname().release, State.READY, basis="old", boot=boot))
        assert outdated(CONFIG, tmp_path) == found


def test_the_agent_asks_by_a_file(settings: Settings, tmp_path: Path) -> None:
    here = replace(settings, state_folder=tmp_path)
    asked = tmp_path / "kernels" / OUTDATED
    next_kernel.ask_again(here, VERSION)
    assert not asked.exists(), "no kernel was prepared"
    prepared(settings, tmp_path, Answers())
    next_kernel.ask_again(here, VERSION)
    assert not asked.exists()
    next_kernel.ask_again(here, "0.2.0+bb")
    assert asked.exists() and len(PreparedKernels(tmp_path).all()) == 1
    PreparedKernels(tmp_path).take()
    assert not asked.exists()


def test_metrics() -> None:
    metrics = SelfMetrics(Health(), {})
    metrics.kernels = lambda: (
        PreparedKernel("6.1.0-57-amd64", State.READY, 2),
        PreparedKernel("7.2.1-amd64", State.FAILED, 2, {"vfs": "no function 'x'"}),
    )
    found = pages.samples(metrics.render(Format.TEXT), Format.TEXT)
    shown = {(name, labels): value for (name, labels), value in found.items() if "kernel" in name}
    assert {(name, tuple(sorted(dict(labels).items()))) for name, labels in shown} == {
        ("stapwatch_prepared_kernel", (("release", "6.1.0-57-amd64"), ("state", "ready"))),
        ("stapwatch_prepared_kernel", (("release", "7.2.1-amd64"), ("state", "failed"))),
        (
            "stapwatch_prepared_kernel_script_failed",
            (("release", "7.2.1-amd64"), ("script", "vfs")),
        ),
    }
    assert "stapwatch_prepared_kernel" in SelfMetrics(Health(), {}).names()
