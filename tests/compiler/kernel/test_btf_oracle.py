# SPDX-License-Identifier: GPL-2.0-or-later
"""Every type of real kernels, compared line by line with bpftool's output for the same BTF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest

from compiler.kernel import btf_types as k
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.kernel import Kernel
from runtime.support.exhaustive import assert_never
from tests.compiler.kernel.commands import run

_INDEX_TYPE = re.compile(r" index_type_id=\d+")


def _lines(btf: Btf, first: int) -> Iterator[str]:
    """The types from number `first` on, written as `bpftool btf dump format raw` writes them."""
    for number in range(first, len(btf)):
        found = btf[TypeId(number)]
        head = f"[{number}] "
        match found:
            case k.Void():
                raise AssertionError("only type 0 is void")
            case k.Int():
                encoding = "SIGNED" if found.signed else "BOOL" if found.boolean else "(none)"
                yield (
                    f"{head}INT '{found.name}' size={found.size} bits_offset={found.bit_offset}"
                    f" nr_bits={found.bits} encoding={encoding}"
                )
            case k.Float():
                yield f"{head}FLOAT '{found.name}' size={found.size}"
            case k.Pointer():
                yield f"{head}PTR '(anon)' type_id={found.target}"
            case k.Array():
                yield f"{head}ARRAY '(anon)' type_id={found.element} nr_elems={found.count}"
            case k.Struct() | k.Union():
                kind = type(found).__name__.upper()
                name = found.name or "(anon)"
                yield f"{head}{kind} '{name}' size={found.size} vlen={len(found.members)}"
                for member in found.members:
                    bits = f" bitfield_size={member.bit_size}" if member.bit_size else ""
                    yield (
                        f"\t'{member.name or '(anon)'}' type_id={member.type_id}"
                        f" bits_offset={member.bit_offset}{bits}"
                    )
            case k.Enum():
                kind = "ENUM64" if found.size == 8 else "ENUM"
                sign = "SIGNED" if found.signed else "UNSIGNED"
                suffix = ("LL" if found.signed else "ULL") if found.size == 8 else ""
                name = found.name or "(anon)"
                yield (
                    f"{head}{kind} '{name}' encoding={sign} size={found.size}"
                    f" vlen={len(found.values)}"
                )
                for value in found.values:
                    yield f"\t'{value.name}' val={value.value}{suffix}"
            case k.Forward():
                kind = "union" if found.is_union else "struct"
                yield f"{head}FWD '{found.name}' fwd_kind={kind}"
            case k.Typedef():
                yield f"{head}TYPEDEF '{found.name}' type_id={found.target}"
            case k.Qualified():
                yield f"{head}{found.qualifier.name} '(anon)' type_id={found.target}"
            case k.TypeTag():
                yield f"{head}TYPE_TAG '{found.name}' type_id={found.target}"
            case k.DeclTag():
                yield (
                    f"{head}DECL_TAG '{found.name}' type_id={found.target}"
                    f" component_idx={found.component}"
                )
            case k.FunctionType():
                count = len(found.params) + found.variadic
                yield f"{head}FUNC_PROTO '(anon)' ret_type_id={found.ret} vlen={count}"
                for param in found.params:
                    yield f"\t'{param.name or '(anon)'}' type_id={param.type_id}"
                if found.variadic:
                    yield "\t'(anon)' type_id=0"
            case k.Function():
                linkage = found.linkage.name.lower()
                yield f"{head}FUNC '{found.name}' type_id={found.type_id} linkage={linkage}"
            case k.Variable():
                linkage = found.linkage.name.lower()
                yield f"{head}VAR '{found.name}' type_id={found.type_id}, linkage={linkage}"
            case k.Section():
                count = len(found.variables)
                yield f"{head}DATASEC '{found.name}' size={found.size} vlen={count}"
                for placed in found.variables:
                    variable = btf[placed.type_id]
                    assert isinstance(variable, k.Variable)
                    yield (
                        f"\ttype_id={placed.type_id} offset={placed.offset} size={placed.size}"
                        f" (VAR '{variable.name}')"
                    )
            case _:
                assert_never(found)


def _compare(btf: Btf, first: int, command: Sequence[str | Path]) -> int:
    """Compare the lines, and fail at the first difference. Returns the number of lines."""
    theirs = [_INDEX_TYPE.sub("", line) for line in run(*command).splitlines()]
    for mine, other in zip_longest(_lines(btf, first), theirs):
        assert mine == other
    return len(theirs)


def _blob(btf: Btf, path: Path) -> Path:
    path.write_bytes(btf.data)
    return path


def test_every_type_of_a_kernel(kernel: Kernel, bpftool: Path, tmp_path: Path) -> None:
    blob = _blob(kernel.btf, tmp_path / "vmlinux")
    command: list[str | Path] = [bpftool, "btf", "dump", "file", blob, "format", "raw"]
    assert _compare(kernel.btf, 1, command) > 100_000


@pytest.mark.parametrize("module", ["xfs", "nf-conntrack"])
def test_every_type_of_a_module(debian: Kernel, bpftool: Path, tmp_path: Path, module: str) -> None:
    # its numbers are the file's own as long as it is the first
    btf = Kernel.from_root(debian.root, debian.release).module_btf(module)
    base = _blob(debian.btf, tmp_path / "vmlinux")
    blob = _blob(btf, tmp_path / "module")
    command: list[str | Path] = [bpftool, "-B", base, "btf", "dump", "file", blob, "format", "raw"]
    assert _compare(btf, len(debian.btf), command) > 500


def test_names_lead_back_to_their_types(kernel: Kernel) -> None:
    btf = kernel.btf
    kinds = (k.Struct, k.Union, k.Enum, k.Typedef, k.Function, k.Variable)
    checked = 0
    for number in range(1, len(btf), 61):
        found = btf[TypeId(number)]
        if isinstance(found, kinds) and found.name:
            assert found in btf.find_all(type(found), found.name)
            checked += 1
    assert checked > 500
