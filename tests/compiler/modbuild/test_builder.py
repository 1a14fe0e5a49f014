# SPDX-License-Identifier: GPL-2.0-or-later
"""From C to a .ko with the real compiler and the real kernel headers of this machine."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compiler.modbuild.builder import Builder
from compiler.modbuild.errors import BuildError
from compiler.modbuild.modversions import Exports, read_table
from compiler.modbuild.request import BuildInput, Tier
from compiler.modbuild.runtime_sources import Sources
from compiler.modbuild.tier_check import difference
from compiler.modbuild.toolchain import HostToolchain, Ran
from compiler.support.content_store import Cache
from compiler.support.elf import Elf
from runtime.support.record import field, record, replace
from tests import PROJECT

HERE = Path(__file__).parent
RequestFor = Callable[..., BuildInput]


@record
class Meddling(HostToolchain):
    """This machine's tools, but if `spoil` returns a result for a command, this is the command's result."""

    spoil: Callable[[Sequence[str]], Ran | None] = lambda argv: None
    ran: list[str] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Ran:
        self.ran.append(Path(argv[0]).name)
        spoilt = self.spoil(argv)
        if spoilt is not None:
            return spoilt
        return HostToolchain.run(self, argv, folder=folder, env=env, timeout=timeout)


def sections(path: Path) -> Elf:
    return Elf(path.read_bytes())


def modinfo(path: Path, field_: str) -> str:
    """One value, as modinfo prints it."""
    lines = sections(path).contents(".modinfo").split(b"\0")
    values = [line.partition(b"=")[2] for line in lines if line.startswith(f"{field_}=".encode())]
    return b" ".join(values).decode()


def test_both_tiers_make_the_same_module(builder: Builder, request_for: RequestFor) -> None:
    fast = builder.build(request_for("sw_twins"))
    slow = replace(builder, only=Tier.KBUILD).build(request_for("sw_twins"))
    assert (fast.tier, slow.tier) == (Tier.FAST, Tier.KBUILD)
    assert fast.warnings == ()
    assert difference(sections(slow.path), sections(fast.path)) == ""


def test_the_module_says_what_it_is(builder: Builder, request_for: RequestFor) -> None:
    path = builder.build(request_for("sw_named", manifest='{"a":1}')).path
    assert path.name == "sw_named.ko"
    assert modinfo(path, "name") == "sw_named"
    release = request_for().kernel.release
    assert modinfo(path, "vermagic").split()[0] == release
    assert modinfo(path, "depends") == ""
    assert modinfo(path, "license") == "GPL"
    elf = sections(path)
    assert b"\0sw_named\0" in b"\0" + elf.contents(".gnu.linkonce.this_module")[24:].lstrip(b"\0")
    assert not any(b"stapwatch_stub" in elf.contents(name) for name in elf.loaded)
    assert elf.contents(".stapwatch.manifest") == b'{"a":1}'


def test_a_long_manifest_replaces_the_stubs(builder: Builder, request_for: RequestFor) -> None:
    manifest = json.dumps({"text": "x" * 100_000})
    elf = sections(builder.build(request_for(manifest=manifest)).path)
    assert elf.contents(".stapwatch.manifest") == manifest.encode()
    end = next(s for s in elf.symbols if s.name == "sw_manifest_end")
    assert end.value == len(manifest)


def test_every_symbol_has_the_kernels_checksum(builder: Builder, request_for: RequestFor) -> None:
    request = request_for()
    assert request.kernel.headers is not None
    elf = sections(builder.build(request).path)
    exports = Exports(request.kernel.headers / "Module.symvers")
    table = read_table(elf.contents("__versions"))
    assert set(table) == {*elf.undefined, "module_layout"}
    for name, crc in table.items():
        export = exports.find(name)
        assert export is not None and export.crc == crc


def test_nothing_in_a_module_is_traced(builder: Builder, request_for: RequestFor) -> None:
    for only in Tier:
        elf = sections(replace(builder, only=only).build(request_for()).path)
        assert "__fentry__" not in elf.undefined
        assert "__mcount_loc" not in elf.loaded


@pytest.mark.parametrize("only", Tier)
def test_modules_are_reproducible_and_hold_no_paths(
    builder: Builder, request_for: RequestFor, tmp_path: Path, only: Tier
) -> None:
    first = replace(builder, only=only).build(request_for("sw_again")).path
    elsewhere = Builder(Cache(tmp_path / "another"), sources=builder.sources, only=only)
    second = elsewhere.build(request_for("sw_again")).path
    assert first.read_bytes() == second.read_bytes()
    for word in (str(builder.cache.root), str(tmp_path), "/tmp", str(PROJECT)):
        assert word.encode() not in second.read_bytes()


def test_the_same_input_is_found_again(builder: Builder, request_for: RequestFor) -> None:
    made = builder.build(request_for("sw_cached"))
    again = Builder(builder.cache, sources=builder.sources).build(request_for("sw_cached"))
    assert (made.cached, again.cached) == (False, True)
    assert (again.path, again.tier) == (made.path, made.tier)


def test_any_change_of_the_input_is_another_module(
    builder: Builder, request_for: RequestFor, script: str
) -> None:
    paths = [
        builder.build(request).path
        for request in (
            request_for("sw_a"),
            request_for("sw_b"),
            request_for("sw_a", manifest="{}"),
            request_for("sw_a", c_text=script.replace("i < 4", "i < 3")),
            request_for("sw_a", cflags=("-DSOMETHING",)),
        )
    ]
    assert len(set(paths)) == len(paths)


def test_a_damaged_module_is_made_again(builder: Builder, request_for: RequestFor) -> None:
    path = builder.build(request_for("sw_damaged")).path
    good = path.read_bytes()
    path.write_bytes(good[:-100] + bytes(100))
    again = builder.build(request_for("sw_damaged"))
    assert not again.cached
    assert again.path.read_bytes() == good


def test_evicted_preparations_are_made_again(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    mine = Builder(Cache(tmp_path / "cache"), sources=builder.sources)
    first = mine.build(request_for()).path.read_bytes()
    shutil.rmtree(mine.cache.root / "entries")
    (mine.cache.root / "entries").mkdir(mode=0o700)
    assert mine.build(request_for()).path.read_bytes() == first


@pytest.mark.parametrize("only", Tier)
def test_embedded_c_uses_kernel_headers(
    builder: Builder, request_for: RequestFor, only: Tier
) -> None:
    text = (HERE / "standin/embedded.c").read_text()
    request = request_for("sw_embedded", c_text=text, embedded=True)
    result = replace(builder, only=only).build(request)
    assert result.tier is only
    elf = sections(result.path)
    assert {"jiffies", "jiffies_to_msecs", "_printk"} <= elf.undefined
    assert b"module %s" in elf.data and b"sw_embedded\0" in elf.contents(".rodata.str1.1")
    assert "__fentry__" not in elf.undefined


def test_embedded_c_is_the_same_in_both_tiers(builder: Builder, request_for: RequestFor) -> None:
    text = (HERE / "standin/embedded.c").read_text()
    request = request_for("sw_embedded", c_text=text, embedded=True)
    fast, slow = (replace(builder, only=only).build(request).path for only in Tier)
    assert difference(sections(slow), sections(fast)) == ""


def test_kernel_headers_are_precompiled_once(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    tools = Meddling()
    said: list[str] = []
    mine = replace(builder, toolchain=tools, progress=said.append)
    text = (HERE / "standin/embedded.c").read_text()
    for number in range(2):
        changed = f"{text}\n/* {number} {tmp_path} */\n"
        mine.build(request_for("sw_embedded", c_text=changed, embedded=True))
    compiled = [Path(name).suffix for name in builder.cache.root.glob("entries/*/*/prefix.h*")]
    assert sorted(compiled) == [".gch", ".h"]
    assert sum("headers" in line for line in said) <= 1
    # gcc ignores an unusable header silently; this flag reports it
    request = request_for("sw_tells", c_text=text, embedded=True, cflags=("-Werror=invalid-pch",))
    assert mine.build(request).tier is Tier.FAST


def test_headers_that_cannot_be_precompiled_are_read_every_time(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    refuse = Meddling(spoil=lambda argv: Ran(1, "error: no") if "c-header" in argv else None)
    mine = replace(builder, cache=Cache(tmp_path / "cache"), toolchain=refuse)
    text = (HERE / "standin/embedded.c").read_text()
    for name in ("sw_one", "sw_two"):
        made = mine.build(request_for(name, c_text=text, embedded=True))
        assert (made.tier, made.warnings) == (Tier.FAST, ())


@pytest.mark.parametrize("only", Tier)
def test_an_unknown_symbol_is_named(
    builder: Builder, request_for: RequestFor, script: str, only: Tier
) -> None:
    text = script.replace("reads[i] += i;", "kallsyms_not_exported();")
    text = text.replace("static u64", "void kallsyms_not_exported(void);\nstatic u64", 1)
    with pytest.raises(BuildError, match="kallsyms_not_exported") as caught:
        replace(builder, only=only).build(request_for(c_text=text))
    assert caught.value.slug == ("unknown-symbol" if only is Tier.FAST else "compile-failed")


@pytest.mark.parametrize("only", Tier)
def test_wrong_c_is_our_mistake_and_kept(
    builder: Builder, request_for: RequestFor, script: str, only: Tier
) -> None:
    text = script.replace("reads[i] += i;", "reads[i] += missing;")
    with pytest.raises(BuildError, match="'missing' undeclared") as caught:
        replace(builder, only=only).build(request_for("sw_wrong", c_text=text))
    assert caught.value.slug == "compile-failed"
    assert "internal error" in caught.value.message
    assert "script.c:" in caught.value.message
    assert caught.value.log is not None
    assert "'missing' undeclared" in caught.value.log.read_text()
    assert (caught.value.log.parent / "script.c").read_text() == text


def test_an_undeclared_function_is_found_by_the_compiler(
    builder: Builder, request_for: RequestFor, script: str
) -> None:
    text = script.replace("reads[i] += i;", "reads[i] += nobody();")
    with pytest.raises(BuildError, match="implicit declaration of function 'nobody'"):
        builder.build(request_for(c_text=text))


def test_failures_kept_are_bounded(builder: Builder, request_for: RequestFor) -> None:
    for number in range(20):
        with pytest.raises(BuildError):
            builder.build(request_for(f"sw_fails_{number}", c_text="nonsense"))
    kept = {path.name for path in (builder.cache.root / "failed").iterdir()}
    assert len(kept) <= 16
    assert "sw_fails_19" in kept and "sw_fails_0" not in kept


def test_without_headers(builder: Builder, request_for: RequestFor) -> None:
    request = request_for()
    bare = replace(request, kernel=replace(request.kernel, headers=None))
    with pytest.raises(BuildError) as caught:
        builder.build(bare)
    assert caught.value.slug == "no-headers"
    assert caught.value.hint == f"apt install linux-headers-{request.kernel.release}"


def test_without_the_compiler_that_the_headers_want(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    request = request_for()
    assert request.kernel.headers is not None
    for path in request.kernel.headers.iterdir():
        (tmp_path / path.name).symlink_to(path.resolve())
    variables = tmp_path / ".kernelvariables"
    if not variables.exists():
        pytest.fail("these are not Debian's headers: install linux-headers-amd64")
    text = variables.read_text().replace("gcc-12", "gcc-nowhere")
    variables.unlink()
    variables.write_text(text)
    other = replace(request, kernel=replace(request.kernel, headers=tmp_path))
    with pytest.raises(BuildError) as caught:
        builder.build(other)
    assert caught.value.slug == "no-compiler"
    assert "'gcc-nowhere'" in caught.value.message and "gcc-12 (Debian" in caught.value.message
    assert caught.value.hint == "apt install gcc-nowhere"


def is_objtool(argv: Sequence[str]) -> bool:
    return Path(argv[0]).name == "objtool"


def test_the_self_check_sees_that_a_step_is_missing(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    tools = Meddling(spoil=lambda argv: Ran(0, "") if is_objtool(argv) else None)
    mine = Builder(Cache(tmp_path / "cache"), tools, builder.sources)
    result = mine.build(request_for())
    assert result.tier is Tier.KBUILD
    assert len(result.warnings) == 1
    assert "section ." in result.warnings[0] and "kbuild is used" in result.warnings[0]
    # the result is cached: no tool runs again
    tools.ran.clear()
    again = Builder(mine.cache, tools, builder.sources)
    assert again.build(request_for("sw_other")).tier is Tier.KBUILD
    assert "objtool" not in tools.ran


@pytest.mark.parametrize(
    ("flag", "told"), [("-O1", ".text"), ("-fno-jump-tables", ""), ("-DREMOVED", "")]
)
def test_the_self_check_looks_at_code(
    builder: Builder, request_for: RequestFor, flag: str, told: str
) -> None:
    slow = replace(builder, only=Tier.KBUILD).build(request_for()).path
    fast = builder.build(request_for(cflags=(flag,))).path
    found = difference(sections(slow), sections(fast))
    assert (told in found) if told else found == ""


def test_a_failing_step_falls_back_to_kbuild(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    fails = False

    def spoil(argv: Sequence[str]) -> Ran | None:
        return Ran(1, "objtool: broken") if fails and is_objtool(argv) else None

    mine = Builder(Cache(tmp_path / "cache"), Meddling(spoil=spoil), builder.sources)
    assert mine.build(request_for("sw_before")).tier is Tier.FAST
    fails = True
    result = mine.build(request_for("sw_after"))
    assert result.tier is Tier.KBUILD
    assert "objtool: broken" in result.warnings[0]


def test_an_upgraded_compiler_means_another_preparation(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    @record
    class Upgraded(HostToolchain):
        def identity(self, tool: str) -> str:
            found = HostToolchain.identity(self, tool)
            return f"{found} upgraded" if "gcc" in tool else found

    said: list[str] = []
    cache = Cache(tmp_path / "cache")
    kernel = request_for().kernel
    first = Builder(cache, HostToolchain(), builder.sources, progress=said.append).prepare(kernel)
    second = Builder(cache, Upgraded(), builder.sources, progress=said.append).prepare(kernel)
    assert first.identity != second.identity
    assert len(said) == 2 and "preparing" in said[0]


def test_runtime_files_that_cannot_be_one_are_compiled_apart(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    files = dict(builder.sources.files)
    clash = b"static int same_name;\nint *sw_%s(void);\nint *sw_%s(void) { return &same_name; }\n"
    files["one.c"] = clash % (b"one", b"one")
    files["two.c"] = (
        (clash % (b"two", b"two"))
        .replace(b"static int", b"static long")
        .replace(b"int *", b"long *")
    )
    kbuild = files["runtime.kbuild"]
    files["runtime.kbuild"] = kbuild.replace(b"main.o", b"main.o one.o two.o")
    mine = Builder(Cache(tmp_path / "cache"), sources=Sources(files, "clashing"))
    assert mine.prepare(request_for().kernel).problem == ""
    result = mine.build(request_for("sw_apart"))
    assert result.tier is Tier.FAST
    assert {"sw_one", "sw_two"} <= sections(result.path).defined


def test_our_own_runtime_compiles_as_one(request_for: RequestFor, tmp_path: Path) -> None:
    tools = Meddling()
    mine = Builder(Cache(tmp_path / "cache"), tools, Sources.ours())
    assert mine.prepare(request_for().kernel).problem == ""
    assert tools.ran.count("make") == 1, "two of the runtime's files use one name, see kbuild.make"


def test_two_threads_share_a_builder(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    said: list[str] = []
    mine = Builder(Cache(tmp_path / "cache"), sources=builder.sources, progress=said.append)
    names = [f"sw_many_{number % 4}" for number in range(8)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda name: mine.build(request_for(name)), names))
    assert [result.path.stem for result in results] == names
    assert {result.tier for result in results} == {Tier.FAST}
    assert len(said) == 1


def _build_in_process(
    root: Path, request: BuildInput, sources: Sources, answers: multiprocessing.Queue[str]
) -> None:
    said: list[str] = []
    try:
        result = Builder(Cache(root), sources=sources, progress=said.append).build(request)
        answers.put(f"{result.tier} {len(said)} {modinfo(result.path, 'name')}")
    except BaseException as error:
        answers.put(repr(error))


def test_two_processes_prepare_once(
    builder: Builder, request_for: RequestFor, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[str] = context.Queue()
    arguments = (tmp_path / "cache", request_for("sw_shared"), builder.sources, answers)
    workers = [context.Process(target=_build_in_process, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    said = sorted(answers.get(timeout=180) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert said == ["fast 0 sw_shared", "fast 1 sw_shared"]


@pytest.mark.parametrize("name", ["", "Upper", "9lives", "with-dash", "x" * 56, "main", "whole"])
def test_bad_module_names(builder: Builder, request_for: RequestFor, name: str) -> None:
    with pytest.raises(BuildError) as caught:
        replace(builder, only=Tier.KBUILD).build(request_for(name))
    assert caught.value.slug == "bad-module-name"


def test_the_longest_name(builder: Builder, request_for: RequestFor) -> None:
    path = builder.build(request_for("x" * 55)).path
    assert modinfo(path, "name") == "x" * 55
    slow = replace(builder, only=Tier.KBUILD).build(request_for("x" * 55)).path
    assert difference(sections(slow), sections(path)) == ""


def test_a_command_that_does_not_end_is_killed() -> None:
    with pytest.raises(BuildError, match="'sh' did not end within") as caught:
        HostToolchain().run(["sh", "-c", "sleep 1000 & wait"], folder="/", timeout=0.2)
    assert caught.value.slug == "build-timeout"


def test_commands_see_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPATH", "/somewhere")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    ran = HostToolchain().run(["env"], folder="/", env={"TMPDIR": "/x"})
    assert ran.status == 0
    names = {line.partition("=")[0] for line in ran.output.splitlines()}
    assert {"PATH", "LC_ALL", "TMPDIR"} <= names
    assert not {"CPATH", "LANG"} & names
