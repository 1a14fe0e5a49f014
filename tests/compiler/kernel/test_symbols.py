# SPDX-License-Identifier: GPL-2.0-or-later
"""Symbols, against a plain reading of the same text."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.kernel.errors import AddressesHidden, NoSuchSymbol, NoSymbols
from compiler.kernel.symbols import KALLSYMS, Hookable, Symbol, Symbols
from compiler.support.globs import glob_regex

SPECIAL = """\
0000000000000000 A first_percpu
ffffffff81000100 T vfs_read
ffffffff81000200 t helper
ffffffff81000300 t helper
ffffffff81000400 T vfs_readv
ffffffff81000500 D vfs_data
ffffffff81000600 W weak_one
ffffffff81000700 t cold.isra.0
ffffffffc0000100 t helper\t[xfs]
ffffffffc0000200 t xfs_open\t[xfs]
"""
TABLE = SPECIAL + "".join(f"ffffffff82{i:06x} t filler_{i}\n" for i in range(200))


@pytest.fixture
def symbols() -> Symbols:
    return Symbols(TABLE.encode(), "table")


def test_find_is_exact(symbols: Symbols) -> None:
    assert symbols.find("vfs_read") == (Symbol("vfs_read", 0xFFFFFFFF81000100, "T", ""),)
    assert symbols.find("vfs_rea") == symbols.find("fs_read") == symbols.find("[xfs]") == ()
    assert symbols.find("T") == symbols.find("T vfs_read") == ()
    assert [s.module for s in symbols.find("helper")] == ["", "", "xfs"]
    assert symbols.find("first_percpu")[0].address == 0


def test_patterns_find_functions_only(symbols: Symbols) -> None:
    assert [s.name for s in symbols.functions("vfs_*")] == ["vfs_read", "vfs_readv"]
    assert [s.name for s in symbols.functions("*_on[!x]")] == ["weak_one"]
    assert [s.name for s in symbols.functions("cold.isra.?")] == ["cold.isra.0"]
    assert [s.name for s in symbols.functions("*", module="xfs")] == ["helper", "xfs_open"]
    assert len(symbols.functions("helper", module="")) == 2


def test_a_missing_symbol_brings_near_misses(symbols: Symbols) -> None:
    with pytest.raises(NoSuchSymbol, match=r"no function 'vfs_raed' in table: .*'vfs_read'"):
        symbols.function("vfs_raed")
    with pytest.raises(NoSuchSymbol, match="no function 'vfs_data'"):
        symbols.function("vfs_data")
    with pytest.raises(NoSuchSymbol, match=r"no symbol 'vfs_dtaa' in table: .*'vfs_data'"):
        symbols.address("vfs_dtaa")


def test_hidden_addresses_are_not_taken_for_real(symbols: Symbols) -> None:
    assert symbols.has_addresses
    assert symbols.address("vfs_data") == 0xFFFFFFFF81000500
    lines = (f"{'0' * 16}{line[16:]}\n" for line in TABLE.splitlines())
    hidden = Symbols("".join(lines).encode(), "table")
    assert not hidden.has_addresses
    assert hidden.function("vfs_read").name == "vfs_read"
    with pytest.raises(AddressesHidden, match="kptr_restrict"):
        hidden.address("vfs_read")


def test_a_stand_in_is_not_a_table(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text("ffffffffffffffff B The real System.map is elsewhere\n")
    with pytest.raises(NoSymbols, match=r"holds no symbols.*kallsyms"):
        Symbols.read(path)
    with pytest.raises(NoSymbols, match="No such file"):
        Symbols.read(tmp_path / "none")


def test_the_running_kernels_symbols_as_read_plainly() -> None:
    text = KALLSYMS.read_text()
    plain: dict[str, list[tuple[str, str]]] = {}
    for line in text.splitlines():
        _, kind, name, *module = line.split()
        plain.setdefault(name, []).append((kind, module[0].strip("[]") if module else ""))
    symbols = Symbols(text.encode(), "kallsyms")
    some = list(plain)[:: max(1, len(plain) // 200)]
    for name in some:
        assert [(s.kind, s.module) for s in symbols.find(name)] == plain[name], name
    for pattern in ("vfs_*", "*read", "tcp_[a-c]*", "?ys_*"):
        wanted = [
            name
            for name, rows in plain.items()
            for kind, _ in rows
            if kind in "tTwW" and fnmatchcase(name, pattern)
        ]
        assert sorted(s.name for s in symbols.functions(pattern)) == sorted(wanted), pattern


def test_what_can_be_hooked(tmp_path: Path) -> None:
    (tmp_path / "available_filter_functions").write_text("vfs_read\nxfs_open [xfs]\n")
    (tmp_path / "blacklist").write_text(
        "0xffffffff81000000-0xffffffff81000010\tasm_exc\n0x1-0x2\tnotify_die\n"
    )
    found = Hookable.read((tmp_path / "none", tmp_path), tmp_path / "blacklist")
    assert found == Hookable(
        frozenset({"vfs_read", "xfs_open"}), frozenset({"asm_exc", "notify_die"})
    )
    assert Hookable.read((tmp_path / "none",), tmp_path / "none") == Hookable(None, None)


CLASS = st.builds(
    "[{}{}{}]".format,
    st.sampled_from(["", "!"]),
    st.text("ab].&|~[\\", max_size=3),
    st.sampled_from(["a", "a-b", "b-a", "z-", ".-]"]),
)
PATTERN = st.lists(st.sampled_from("ab*?[]!-.") | CLASS, max_size=5).map("".join)


@settings(max_examples=1000, deadline=None)
@given(PATTERN, st.text("ab.]-", min_size=1, max_size=4))
@example("vfs_rea[d]", "vfs_read")
@example("[!a]", "a")
@example("[!a]", "b")
def test_patterns_mean_what_the_shell_means(pattern: str, name: str) -> None:
    ours = re.fullmatch(glob_regex(pattern), name) is not None
    assert ours == fnmatchcase(name, pattern)
