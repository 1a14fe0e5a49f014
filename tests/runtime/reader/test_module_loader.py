# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading: the messages for the kernel's errors. Real modules are loaded in the lab."""

import errno
import os
from pathlib import Path

import pytest

from runtime.reader.module_loader import (
    KernelLog,
    LoadError,
    Module,
    can_load_modules,
    load,
    loaded,
    message,
    module_name,
    refusal,
    relevant,
    unload,
)


def machine(root: Path, **files: str) -> Path:
    """A tree with the files that `can_load_modules` looks at; "" removes one."""
    everything = {
        "proc/modules": "nf_tables 1 0 - Live 0x0\n",
        "proc/sys/kernel/modules_disabled": "0\n",
        "proc/self/status": "Name:\tx\nCapEff:\t000001ffffffffff\n",
    }
    everything.update({name.replace("__", "/"): text for name, text in files.items()})
    for name, text in everything.items():
        if text:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"proc__modules": ""}, "no loadable modules"),
        ({"proc__sys__kernel__modules_disabled": "1\n"}, "modules_disabled"),
        ({"proc__self__status": "CapEff:\t000001fffffeffff\n"}, "CAP_SYS_MODULE"),
        ({"proc__self__status": "CapEff:\t0000000000000000\n"}, "CAP_SYS_MODULE"),
        ({"proc__cmdline": "quiet stapwatch=off\n"}, "booted with stapwatch=off"),
    ],
)
def test_machines_that_cannot(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    found = can_load_modules(machine(tmp_path, **files))
    assert found
    assert reason in found


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc__self__status": "CapEff:\t0000000000010000\n"},
    ],
)
def test_machines_that_can(tmp_path: Path, files: dict[str, str]) -> None:
    assert can_load_modules(machine(tmp_path, **files)) is None


def test_loaded(tmp_path: Path) -> None:
    (tmp_path / "modules").write_text(
        "swatch_1 49152 2 - Live 0xffffffffc09a1000 (OE)\n"
        "nf_tables 274432 0 nft_ct,nft_log, Unloading 0x0000000000000000\n"
        "forever 16384 - [permanent], Loading 0x0000000000000000\n"
    )
    assert loaded(tmp_path) == (
        Module("swatch_1", 49152, 2, (), "Live"),
        Module("nf_tables", 274432, 0, ("nft_ct", "nft_log"), "Unloading"),
        Module("forever", 16384, 0, (), "Loading"),
    )
    assert loaded(tmp_path / "none") == ()


def test_this_machine() -> None:
    """The list of the running kernel, compared with the file."""
    path = Path("/proc/modules")
    lines = path.read_text().splitlines() if path.exists() else []
    assert [m.name for m in loaded()] == [line.split()[0] for line in lines]


SAID = [
    "e1000: link is up",
    "swatch_1: loading out-of-tree module taints kernel.",
    "swatch_1: module verification failed: signature and/or required key missing - tainting kernel",
    "swatch_1: Unknown symbol sw_missing (err -2)",
    "swatch_1: Unknown symbol sw_missing (err -2)",
]


def test_relevant_lines() -> None:
    assert relevant("swatch_1", SAID) == ["Unknown symbol sw_missing (err -2)"]


@pytest.mark.parametrize(
    ("error", "lines", "expected"),
    [
        (
            errno.ENOENT,
            SAID,
            "the kernel refused module swatch_1: it needs a symbol that this kernel lacks; "
            "was it built for another? (kernel: Unknown symbol sw_missing (err -2))",
        ),
        (
            errno.EPERM,
            ["Lockdown: stapwatch: unsigned module loading is restricted; see kernel_lockdown.7"],
            "the kernel refused module swatch_1: the kernel is locked down, and trusts no signature "
            "of the module (kernel: Lockdown: stapwatch: unsigned module loading is restricted; see "
            "kernel_lockdown.7)",
        ),
        (
            errno.EKEYREJECTED,
            ["Loading of unsigned module is rejected"],
            "the kernel refused module swatch_1: it has no signature that this kernel "
            "trusts (kernel: Loading of unsigned module is rejected)",
        ),
        (
            errno.EINVAL,
            ["stapwatch: swatch_1: made for build-id 12, this kernel has 34"],
            "the kernel refused module swatch_1: it contradicts itself or the kernel "
            "(kernel: made for build-id 12, this kernel has 34)",
        ),
        (
            errno.EEXIST,
            [],
            "the kernel refused module swatch_1: a module of that name is loaded already; "
            "unload it first",
        ),
        (errno.E2BIG, [], f"the kernel refused module swatch_1: {os.strerror(errno.E2BIG)}"),
    ],
)
def test_refusals(error: int, lines: list[str], expected: str) -> None:
    assert refusal("swatch_1", error, lines) == expected


def test_the_kernel_refuses_what_is_no_module(tmp_path: Path) -> None:
    path = tmp_path / "swatch-bad.ko"
    path.write_text("this is no module")
    with pytest.raises(LoadError, match="the kernel refused module swatch_bad: ") as caught:
        load(path)
    # a kernel without modules, a process without the permission, or the contents of the file
    assert caught.value.errno in (errno.ENOSYS, errno.EPERM, errno.ENOEXEC)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.ko")


@pytest.mark.skipif(can_load_modules() is not None, reason=str(can_load_modules()))
def test_unloading_what_is_not_loaded() -> None:
    assert unload("swatch_never_loaded") is False


@pytest.mark.skipif(can_load_modules() is None, reason="this machine can unload modules")
def test_unloading_where_one_may_not() -> None:
    with pytest.raises(LoadError, match="cannot unload module swatch_x"):
        unload("swatch_x")


def test_module_name() -> None:
    assert module_name(Path("a/swatch-12-b.ko")) == "swatch_12_b"


def test_records() -> None:
    assert message(b"6,1042,77140,-;e1000: link; up\n SUBSYSTEM=pci\n DEVICE=x\n") == (
        "e1000: link; up"
    )
    assert message(b"12,1,2,c;caf\xe9\n") == "caf\\xe9"


@pytest.mark.skipif(not os.access("/dev/kmsg", os.W_OK), reason="may not write the kernel's log")
def test_the_kernel_log_from_now_on() -> None:
    kmsg = Path("/dev/kmsg")
    kmsg.write_text("stapwatch test: before\n")
    with KernelLog() as log:
        kmsg.write_text("stapwatch test: during\n")
        lines = [line for line in log.lines() if line.startswith("stapwatch test: ")]
        assert lines == ["stapwatch test: during"]
        assert not [line for line in log.lines() if line.startswith("stapwatch test: ")]


def test_no_kernel_log(tmp_path: Path) -> None:
    with KernelLog(tmp_path / "none") as log:
        assert log.lines() == []
