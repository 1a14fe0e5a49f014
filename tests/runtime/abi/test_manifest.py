# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest's text, and the manifest inside of a module file."""

import json
import struct
import subprocess
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.support.elf import Elf, ElfError
from runtime.abi import manifest as a
from runtime.abi.manifest import Manifest
from runtime.support.record import replace
from tests.module_file import MANIFEST_SECTION, manifest_of_module
from tests.runtime.images import Plan

# lone surrogates have no UTF-8
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=8))


def register(kind: type, **known: st.SearchStrategy[Any]) -> None:
    """A record's own signature is unknown until a few instances exist; its type hints are known."""
    hints = get_type_hints(kind)
    st.register_type_strategy(
        kind,
        lambda _: st.builds(kind, **{name: st.from_type(hints[name]) for name in hints} | known),
    )


for record in (a.Histogram, a.Statistic, a.Key, a.Slots, a.Table, a.Probe, a.Argument, a.Print):
    register(record)
register(a.ErrorSite)
register(Manifest, needs=st.none() | st.integers(max_value=a.FORMAT))
MANIFESTS = st.from_type(Manifest)


@given(MANIFESTS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_round_trip(manifest: Manifest) -> None:
    text = manifest.to_json()
    assert Manifest.from_json(text) == manifest
    assert Manifest.from_json(text.encode()) == manifest


@pytest.mark.parametrize("text", ["", "[]", "1", "{}", '{"probes": 1}', b"\xff\xfe", "null"])
def test_not_a_manifest(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        Manifest.from_json(text)


def trees() -> list[tuple[str, Any]]:
    """Trees of a manifest, each with one error."""
    plan = Plan(lanes=1)
    plan.array("t", {"n": None}, capacity=2)
    good = plan.manifest().to_json()
    cases: list[tuple[str, Any]] = []
    for name, value in [("tables", [1]), ("tables", 7), ("probes", [{"point": 1}])]:
        tree = json.loads(good)
        tree[name] = value
        cases.append((f"{name}={value}", tree))
    tree = json.loads(good)
    tree["tables"][0]["storage"] = "nowhere"
    cases.append(("storage", tree))
    return cases


@pytest.mark.parametrize("tree", [t for _, t in trees()], ids=[n for n, _ in trees()])
def test_wrong_tree(tree: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Manifest.from_json(json.dumps(tree))


def grown(tree: Any) -> Any:
    """The tree with a member that this release does not know in each of its records."""
    if isinstance(tree, dict):
        return {**{key: grown(value) for key, value in tree.items()}, "novelty": [1]}
    return [grown(value) for value in tree] if isinstance(tree, list) else tree


@given(MANIFESTS)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30)
def test_what_a_later_release_has_added_is_skipped(manifest: Manifest) -> None:
    assert Manifest.from_json(json.dumps(grown(json.loads(manifest.to_json())))) == manifest


def test_a_manifest_for_newer_readers_only_is_refused_by_name() -> None:
    text = replace(Plan(lanes=1).manifest(), needs=a.FORMAT + 1, compiler="7.0+ab").to_json()
    with pytest.raises(ValueError, match=r"module swatch_x was made by stapwatch 7\.0\+ab"):
        Manifest.from_json(text)


def compile_object(folder: Path, source: str) -> Path:
    path = folder / "swatch_x.c"
    path.write_text(source)
    target = folder / "swatch_x.ko"
    subprocess.run(["gcc", "-c", "-o", target, path], check=True, timeout=60)
    return target


def test_manifest_of_module(tmp_path: Path) -> None:
    manifest = replace(Plan(lanes=1).manifest(), name='quote " and é')
    (tmp_path / "manifest.json").write_text(manifest.to_json())
    source = (
        f'__asm__(".pushsection {MANIFEST_SECTION},\\"a\\"; '
        f'.incbin \\"{tmp_path}/manifest.json\\"; .byte 0; .popsection"); int x = 1; int y;'
    )
    module = compile_object(tmp_path, source)
    assert manifest_of_module(module) == manifest
    data = module.read_bytes()
    elf = Elf(data)
    assert elf.contents(".bss") == b""
    assert elf.contents(".data") == (1).to_bytes(4, "little")
    assert elf.find(".none") is None
    for end in (0, 3, 40, 64, len(data) // 2, len(data) - 1):
        module.write_bytes(data[:end])
        with pytest.raises(ElfError):
            manifest_of_module(module)


def test_a_section_that_lies_outside(tmp_path: Path) -> None:
    data = bytearray(compile_object(tmp_path, "int x = 1;").read_bytes())
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    for number in set(range(count)) - {names}:
        struct.pack_into("<Q", data, start + number * size + 32, len(data))
    with pytest.raises(ElfError, match=r"section '\.data' lies outside"):
        Elf(bytes(data)).contents(".data")


def test_a_foreign_module(tmp_path: Path) -> None:
    module = compile_object(tmp_path, "int x = 1;")
    with pytest.raises(ValueError, match="not a stapwatch module"):
        manifest_of_module(module)
    with pytest.raises(FileNotFoundError):
        manifest_of_module(tmp_path / "none.ko")


def test_none_is_left_out() -> None:
    plan = Plan(lanes=1)
    plan.scalar("total")
    assert "null" not in plan.manifest().to_json()


def test_a_manifest_from_before_full_arrays_had_a_policy() -> None:
    plan = Plan(lanes=1)
    plan.array("t", {"k": None}, 4)
    tree = json.loads(plan.manifest().to_json())
    (table,) = tree["tables"]
    assert table["slots"].pop("when_full") == "drop"
    assert "replaced" not in table
    (found,) = Manifest.from_json(json.dumps(tree)).tables
    assert (found.slots, found.replaced) == (plan.tables[0].slots, None)
