# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes in modules of the kernel follow these as they come and go, and say so; not a hit is lost."""

from __future__ import annotations

import json
import lzma
import struct
from pathlib import Path
from typing import Any

import pytest

from compiler.kernel.kernel import Kernel
from compiler.support.elf import Elf
from lab import Guest, Image
from runtime.abi.structs import WAITING
from tests.handlers.conftest import Case, compile_case, run_in_guest, types_of_modules

SIGNED = b"~Module signature appended~\n"
SIGNATURE_HEADER = 12  # bytes of struct module_signature, which ends with the signature's size
XMIT = 'module("dummy").function("dummy_xmit")'
INIT = 'module("dummy").function("dummy_init_module")'
SCRIPTS = {
    # by ftrace, by a kretprobe, by one hook that functions of the kernel share, by a kprobe, and one that is
    # hooked only while the module is being loaded
    "loads": f"""global n, sizes
        probe {XMIT} {{ n[0]++ }}
        probe {XMIT}.return {{ n[1]++ sizes[@entry($skb->len)]++ }}
        probe module("dummy").function("dummy_x*"), kernel.function("vfs_statf*") {{ n[2]++ }}
        probe {INIT} {{ n[3]++ }}
        probe kprobe.function("vfs_statfs") {{ n[4]++ }}""",
    "init": f"global n probe {INIT} {{ n[0]++ }} probe {XMIT} {{ n[1]++ }} probe {INIT}.return {{ n[2]++ }}",
    "failing": """global n probe module("null_blk").function("null_init") { n[0]++ }
        probe module("null_blk").function("null_init").return { n[1]++ }""",
    "variable": 'global n probe kernel.data("numdummies").write { n++ }',
    "other": f"""global n, m probe {XMIT} {{ n[$skb->len]++ }} probe {XMIT}.return {{ n[@entry($skb->len)]++ }}
        probe module("dummy").function("dummy_init_*") {{ m++ }}""",
    "churn": f"""global n probe {XMIT} {{ n[0]++ }} probe {XMIT}.return {{ n[1]++ }}
        probe module("dummy").function("*"), kernel.function("vfs_statfs") {{ n[2]++ }}
        probe module("dummy").function("*").return {{ n[3]++ }}
        probe kernel.data("numdummies").write {{ n[4]++ }}""",
}


# where modules have no types: the argument by its number, and no other build to tell from this one
UNTYPED = {
    name: text.replace("$skb->", '@cast($arg1, "sk_buff")->')
    for name, text in SCRIPTS.items()
    if name != "other"
}


@pytest.fixture(scope="module")
def result(
    guest: Guest, image: Image, kernel: Kernel, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    typed = types_of_modules(kernel)
    folder = tmp_path_factory.mktemp("following")
    guest.run("modprobe dummy; cat /proc/kallsyms >/tmp/kallsyms; modprobe -r dummy").check()
    guest.pull("/tmp/kallsyms", folder / "kallsyms")
    plan = {"build": "/tmp/following/dummy.ko" if typed else ""}
    for name, text in (SCRIPTS if typed else UNTYPED).items():
        response = compile_case(Case(name, text), image, folder, folder / "kallsyms")
        assert response["ok"], response["errors"]
        plan[name] = f"/tmp/following/{response['module']}.ko"
    if typed:
        (folder / "dummy.ko").write_bytes(other_build(image))
    (folder / "plan.json").write_text(json.dumps(plan))
    guest.push(folder, "/tmp/following")
    return run_in_guest(guest, "following.py", ["/tmp/following/plan.json"], folder, 600)


def other_build(image: Image) -> bytes:
    """The module with another name in its types, without its signature, which would be wrong."""
    (path,) = Path(image.rootfs, "lib/modules", image.release).rglob("dummy.ko*")
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    if data.endswith(SIGNED):
        data = data.removesuffix(SIGNED)
        (size,) = struct.unpack(">I", data[-4:])
        data = data[: -SIGNATURE_HEADER - size]
    types = Elf(data).contents(".BTF")
    at = data.index(types) + types.index(b"\0dummy_setup\0") + 1
    return data[:at] + b"dummy_setuq" + data[at + len(b"dummy_setuq") :]


def test_no_hit_of_any_life_is_lost(result: dict[str, Any]) -> None:
    loads = result["loads"]
    assert loads["sent"] == 150
    hits = [[at[probe][0] for probe in (0, 1, 2, 4)] for at in loads["here"]]
    assert hits == [[50 * n, 50 * n, 50 * n, n] for n in (1, 2, 3)]
    # hooked, but for the init code, which has gone by then
    assert [[probe[1] for probe in at] for at in loads["here"]] == [
        [True, True, True, True, False, True]
    ] * 3


def test_what_is_not_hooked_meanwhile_is_told(result: dict[str, Any]) -> None:
    loads = result["loads"]
    for away in loads["away"]:
        assert [row[1:] for row in away] == [
            [False, 1],
            [False, 1],
            [False, 1],
            [True, 0],
            [False, 1],
            [True, 0],
        ], away
    coming = "module 'dummy' is loaded: 4 of 4 functions are probed"
    going = "module 'dummy' is unloaded: 4 functions are not probed until it is loaded again"
    first = "module 'dummy' is not loaded: 4 probed functions wait for it"
    assert loads["said"] == [first, *[coming, going] * 3]


def test_a_probed_module_is_unloaded_as_fast_as_the_kernel_can(result: dict[str, Any]) -> None:
    assert max(result["loads"]["seconds"]) < 5


def test_init_code_that_has_gone_waits_for_the_next_load(result: dict[str, Any]) -> None:
    init = result["init"]
    assert init["first"] == [[0, False, 1], [0, True, 0], [0, False, 1]]
    # hooked before the module ran, and unhooked when its init code went
    assert init["second"] == [[1, False, 1], [0, True, 0], [1, False, 1]]
    assert init["said"][0].startswith("module 'dummy' has freed 2 probed functions")


def test_a_module_that_cannot_be_initialized_goes_again(result: dict[str, Any]) -> None:
    failing = result["failing"]
    assert failing["failed"]
    assert failing["after"] == [[1, False, 1], [1, False, 1]]


def test_a_variable_of_a_module_is_watched_from_the_first_write(result: dict[str, Any]) -> None:
    """modprobe sets it twice: systemd's configuration does, too."""
    variable = result["variable"]
    assert [variable[name] for name in ("first", "second", "after")] == [
        [[2, True, 0]],
        [[4, True, 0]],
        [[4, False, 1]],
    ]


def test_another_build_is_not_probed(result: dict[str, Any], kernel: Kernel) -> None:
    if not types_of_modules(kernel):
        pytest.skip("without types of modules nothing tells builds apart")
    other = result["other"]
    assert [row[:2] for row in other["other"]] == [[0, False]] * 3
    assert other["errors"] == [-8] * 3 and WAITING not in other["errors"]
    assert any("other types" in text for text in other["said"])
    assert [row[:2] for row in other["same"]] == [[50, True], [50, True], [1, False]]


def test_modules_and_scripts_come_and_go_at_once(result: dict[str, Any]) -> None:
    assert result["churn"] == {"ended": [0, 0, 0], "left": []}
