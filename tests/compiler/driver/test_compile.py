# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cache and the compiler answer together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.driver import module_cache
from compiler.driver.compile import compile_script
from compiler.protocol import Request, Response
from compiler.support.content_store import key_of
from runtime.abi.manifest import Manifest
from runtime.support.record import replace

MADE = key_of("a module")
WRONG = "probe begin { nosuch() }"


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """A script that another compiler has compiled, and this one cannot."""
    monkeypatch.setattr(module_cache, "running_build_id", lambda: b"build")
    found = Request("x", text=WRONG, cache=str(tmp_path / "cache"), output=str(tmp_path / "out"))
    job = replace(module_cache.load(found), compiler="0.0.1+aa", module="sw_x_old")
    job.cache.put(MADE, {"sw_x_old.ko": b"code"})
    module_cache.store(job, Response(True, job.module), MADE)
    return found


def test_an_older_module_serves_if_it_cannot_be_compiled_anew(request_: Request) -> None:
    """A machine without tools, or a compiler that accepts less than the one before it."""
    found = compile_script(request_, lambda line: None)
    assert found.ok and found.cached and found.module == "sw_x_old"
    assert Path(found.path).read_bytes() == b"code"
    [warning] = found.warnings
    assert warning.slug == "older-module" and "there is no function 'nosuch'" in warning.message


def test_an_agent_does_not_even_try_in_this_boot(request_: Request) -> None:
    found = compile_script(replace(request_, older=True), lambda line: None)
    assert (found.ok, found.module, found.warnings) == (True, "sw_x_old", ())


def test_who_asks_for_a_new_module_gets_the_error(request_: Request) -> None:
    found = compile_script(replace(request_, recompile=True), lambda line: None)
    assert not found.ok and "nosuch" in found.errors[0].message
    assert compile_script(replace(request_, older=True), lambda line: None).ok, "the old one stays"


def test_a_manifest_takes_no_compiler_of_c(request_: Request) -> None:
    """It is what the module would have; only passes that need no headers have run."""
    text = "global a probe begin { a[pid()]++ }"
    found = compile_script(replace(request_, text=text, last_pass=3, manifest=True), print)
    assert found.ok and found.path == "" and len(found.passes) == 3
    [table] = Manifest.from_json(found.output).tables
    assert (table.name, [key.name for key in table.keys]) == ("a", ["pid"])


@pytest.mark.parametrize(
    ("options", "text", "wanted"),
    [
        ({"compatible": "1.2"}, 'printf("%p %5p %#x", 1, 2, 3)', "%18.16p %5.3p %#x"),
        ({"compatible": "1.3"}, 'printf("%p %5p", 1, 2)', "%p %5p"),
        ({"compatible": "3.3"}, "abort()", "there is no function 'abort'"),
        ({"compatible": "4.0"}, 'abort() print("x")', "x"),
        ({"skip_badvars": True}, "println($nosuch)", "%d\n"),
        ({}, "println($nosuch)", "has no '$nosuch'"),
        ({"globals": {"argc": "7"}, "args": ("a",)}, "println(argc, argv_1)", "%d%s\n"),
    ],
)
def test_options_that_change_the_language(
    request_: Request, options: dict[str, Any], text: str, wanted: str
) -> None:
    """%p of SystemTap 1.2 is that of the C that stap 4.8 makes with --compatible."""
    script = f'probe kernel.trace("sched_switch") {{ {text} }}'
    asked = replace(request_, text=script, last_pass=3, manifest=True, **options)
    found = compile_script(asked, print)
    if found.ok:
        assert [p.format for p in Manifest.from_json(found.output).prints] == [wanted]
    else:
        assert wanted in found.errors[0].message
