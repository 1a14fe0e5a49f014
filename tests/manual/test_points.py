# SPDX-License-Identifier: GPL-2.0-or-later
"""stapwatch-probes(7) has every form of probe point, every alias and every system call."""

from __future__ import annotations

import re

from compiler.arch import arch_of
from compiler.driver.list_probes import probe_aliases, probe_types
from compiler.probes import FAMILIES
from manual import points
from tests.compiler.frontend.support import everything
from tests.manual.page import page


def test_every_form_is_there_once() -> None:
    lines = [line for text in page("stapwatch-probes.7").literals() for line in text.splitlines()]
    forms = [line for line in lines if not line.startswith(("probe ", "global "))]
    assert sorted(forms) == probe_types()
    assert {re.match(r"\w+", form)[0] for form in forms} == set(FAMILIES)  # type: ignore[index]


def test_every_alias_is_there() -> None:
    """The listing that `--dump-probe-aliases` prints is the other side."""
    listed = {line.split(" ")[0] for line in probe_aliases(everything(), arch_of("x86_64"))}
    calls = {x.split(".")[1] for x in listed if x.startswith(("syscall.", "nd_syscall."))}
    section = page("stapwatch-probes.7").sections["SYSTEM CALLS"].replace("\\", "")
    *_, names = section.rstrip().split("\n\n")
    assert names.split(", ") == sorted(calls)
    shown = [
        name
        for term in page("stapwatch-probes.7").terms("THE LIBRARY")
        for short in term.split(", ")
        for name in both(short)
    ]
    others = {x for x in listed if not x.startswith(("syscall.", "nd_syscall.", "_"))}
    assert sorted(shown) == sorted(others)


def both(name: str) -> list[str]:
    """`vfs.read[.return]` stands for two."""
    bare = name.removesuffix("[.return]")
    return [bare] if bare == name else [bare, f"{bare}.return"]


def test_pairs() -> None:
    assert points._paired(["a", "a.return", "b", "c.return"]) == ["a[.return]", "b", "c.return"]
