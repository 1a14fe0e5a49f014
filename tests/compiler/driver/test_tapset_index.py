# SPDX-License-Identifier: GPL-2.0-or-later
"""The search path: functions and macros of our own library and of the user's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.driver import tapset_index
from compiler.frontend.parser import CompileError, parse
from compiler.ir import syntax
from compiler.ir.syntax_printer import print_script
from tests.compiler.frontend.support import KERNEL


def expanded(text: str, folder: Path, release: str = "6.1.0-13-amd64") -> str:
    """A script in its normal form, with the macros of a folder."""
    public = tapset_index.macros(tapset_index.read([str(folder)], release), KERNEL)
    return print_script(parse(text, "x.stp", conditions=KERNEL, library_macros=public))


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_public_macros_reach_scripts_and_each_other(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_DOT_stpm="@define outer(x) %( @inner + @x %)",
        b_DOT_stpm='%( arch == "x86_64" %? @define inner %( 7 %) %: @define inner %( 8 %) %)',
    )
    assert expanded("probe begin { n = @outer(2) }", tmp_path) == "probe begin {\n  n = 7 + 2;\n}\n"


def test_macros_of_a_library_script_are_its_own(tmp_path: Path) -> None:
    write(tmp_path, a_DOT_stp="@define local %( 7 %) function f() { return @local }")
    known = tapset_index.parse_all(tapset_index.read([str(tmp_path)]), KERNEL)
    assert "return 7;" in print_script(known[-1])
    with pytest.raises(CompileError, match="'@local' is neither a macro nor an operator"):
        expanded("probe begin { n = @local }", tmp_path)


def test_the_users_macro_hides_ours(tmp_path: Path) -> None:
    write(tmp_path, a_DOT_stpm="@define cast_sizeof(type) %( 8 %)")
    assert "n = 8;" in expanded('probe begin { n = @cast_sizeof("int") }', tmp_path)


def test_two_files_of_the_user_cannot_define_one_macro(tmp_path: Path) -> None:
    write(tmp_path, a_DOT_stpm="@define m %( 1 %)", b_DOT_stpm="@define m %( 2 %)")
    with pytest.raises(CompileError, match="duplicate-macro"):
        expanded("probe begin {}", tmp_path)


def test_subfolders_may_be_for_one_kernel_or_machine(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "6.1__a_DOT_stpm": "@define version %( 61 %)",
            "5.10__a_DOT_stpm": "@define version %( 510 %)",
            "6.10__a_DOT_stpm": "@define version %( 610 %)",
            "arm64__m_DOT_stpm": "@define machine %( 1 %)",
            "linux__x86_64__m_DOT_stpm": "@define machine %( 2 %)",
            "bpf__m_DOT_stpm": "@define machine %( 3 %)",
        },
    )
    found = expanded("probe begin { n = @version m = @machine }", tmp_path)
    assert found == "probe begin {\n  n = 61;\n  m = 2;\n}\n"


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tapset_index.read([str(tmp_path / "no")]) == tapset_index.read()


@pytest.mark.parametrize("name", sorted(tapset_index.macros(tapset_index.read(), KERNEL)))
def test_each_macro_of_ours_expands_to_a_statement_or_value(name: str) -> None:
    macro = tapset_index.macros(tapset_index.read(), KERNEL)[name]
    values = ['"text"' if p in ("type", "module", "name") else "x" for p in macro.params or ()]
    use = f"@{name}({', '.join(values)})" if values else f"@{name}"
    script = parse(
        f"probe begin {{ {use} }}",
        "x.stp",
        conditions=KERNEL,
        library_macros=tapset_index.macros(tapset_index.read(), KERNEL),
    )
    assert len(script.items) == 1


OURS = tapset_index.read()


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_name_of_a_file_is_found_without_parsing_it(name: str) -> None:
    """Scripts could not use a declaration that is written otherwise."""
    if name.endswith(".stpm"):
        names = {(macro, "") for macro in tapset_index.macros({name: OURS[name]}, KERNEL)}
    else:
        items = tapset_index.parse_all(
            {name: OURS[name]}, KERNEL, tapset_index.macros(OURS, KERNEL)
        )[0].items
        names = {each for item in items for each in _declared(item)}
    assert names == set(map(tuple, OURS.index.declared[name]))


def _declared(item: syntax.Item) -> list[tuple[str, str]]:
    match item:
        case syntax.Function():
            return [(item.name, "(")]
        case syntax.Global():
            return [(item.name, "")]
        case syntax.ProbeAlias():
            parts = [[c.name for c in name.components] for name in item.names]
            return [(part[0], part[1] if len(part) > 1 else "") for part in parts]
        case _:
            return []


def tapset(ours: dict[str, bytes], users: dict[str, bytes], folder: Path) -> tapset_index.Tapset:
    paths = {name: folder / name.removeprefix("tapset/") for name in ours}
    for name, path in paths.items():
        path.write_bytes(ours[name])
    found = {name: str(path) for name, path in paths.items()}
    return tapset_index.Tapset(users, found, tapset_index.Index.of(ours))


def test_a_file_is_needed_for_what_another_needs(tmp_path: Path) -> None:
    ours = {
        "tapset/a.stp": b"function a () { return b() }",
        "tapset/b.stp": b"function b () { return 1 }",
        "tapset/c.stp": b"function c () { return @m }",
        "tapset/m.stpm": b"@define m %( a() %)",
    }
    mine = {"/mine/d.stp": b"function d () { return 2 }"}
    known = tapset(ours, mine, tmp_path)
    assert set(tapset_index.needed(known, [b"a()"])) == {
        "tapset/a.stp",
        "tapset/b.stp",
        "/mine/d.stp",
    }
    assert set(tapset_index.needed(known, [b"d()"])) == {"/mine/d.stp"}
    assert tapset_index.needed(known, [b"c()"]) == {**ours, **mine}


@pytest.mark.parametrize(
    ("point", "files"),
    [
        ("syscall.open", "open"),
        ("syscall . open . return", "open"),
        ("syscall.{open, close}", "open close"),
        ("syscall.{read,cl*}", "open close"),  # either is possible, so both are needed
        ("syscall.*", "open close"),
        ("syscall.?lose.return", "open close vfs"),  # `?lose.` could be a first component
        ("sys*.open", "open close vfs"),
        ("s*", ""),
        ("vfs.read", "vfs"),
        ('kernel.function("sys_*")', ""),
    ],
)
def test_a_file_of_aliases_is_needed_for_a_point(point: str, files: str, tmp_path: Path) -> None:
    ours = {
        "tapset/open.stp": b"probe syscall.open = begin { }\nprobe syscall.openat = begin { }",
        "tapset/close.stp": b"probe syscall.close.return = begin { }",
        "tapset/vfs.stp": b"probe vfs.read = begin { }",
    }
    found = tapset_index.needed(tapset(ours, {}, tmp_path), [f"probe {point} {{ }}".encode()])
    assert set(found) == {f"tapset/{name}.stp" for name in files.split()}


def test_one_digest_however_the_index_came(tmp_path: Path) -> None:
    """The digest is part of a module's name: a module that one process built must be found by another."""
    fresh = tapset_index.read()
    made, kept = (tapset_index.read(cache_dir=tmp_path) for _ in range(2))
    before = [made.digest, kept.digest]
    assert made.index.needs == kept.index.needs == fresh.index.needs
    assert {*before, made.digest, kept.digest} == {fresh.digest}
