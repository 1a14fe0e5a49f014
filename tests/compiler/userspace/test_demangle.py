# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of C++ and Rust as their source has them."""

from __future__ import annotations

import pytest

from compiler.userspace.demangle import demangled

NAMES = {
    "_ZN4shop4cart3addEiRNS_4baseE": "shop::cart::add",
    "_ZN4shop4cart3addEiRNS_4baseE.cold": "shop::cart::add.cold",
    "_ZN4shop4cart3addEl.part.0.cold": "shop::cart::add.part.0.cold",
    "_ZN4shop5twiceIiEET_S1_": "shop::twice<int>",
    "_ZN3foocvbEv": "foo::operator bool",
    "_ZN12_GLOBAL__N_13barEv": "(anonymous namespace)::bar",
    "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE": "core::fmt::Write::write_fmt",
    "_ZN43_$LT$char$u20$as$u20$core..fmt..Display$GT$3fmt17h05ba2fb0ba1c5f0cE": "<char as core::fmt::Display>::fmt",
    "_RNvCs1234_7mycrate3foo": "mycrate::foo",
    "_RNvMNtCsj4CZ6flxxfE_7example3modNtB2_5Thing3new": "<example::mod::Thing>::new",
}


def test_names() -> None:
    assert demangled([*NAMES, "main", "main.main", "_start", "_Zebra"]) == NAMES


def test_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mangled names nothing is started; without the tool names stay."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert demangled(["main"]) == {} == demangled(NAMES)
