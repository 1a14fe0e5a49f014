# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels with CFI are refused, by what their packages say of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compiler.driver.compile import compile_script
from compiler.kernel import control_flow
from compiler.kernel.errors import UnsupportedKernel
from compiler.kernel.kernel import Kernel
from compiler.protocol import Request
from lab import Image

RELEASE = "6.6.30-cfi"
PLAIN = "".join(f"ffffffff{n:08x} T function_{n}\n" for n in range(300))


def installed(root: Path, config: str = "", symbols: str = "") -> Kernel:
    """A kernel of which its package has these files."""
    (root / "boot").mkdir(parents=True)
    (root / f"lib/modules/{RELEASE}").mkdir(parents=True)
    for name, text in (("config", config), ("System.map", symbols), ("vmlinuz", "x")):
        if text:
            (root / f"boot/{name}-{RELEASE}").write_text(text)
    return Kernel.from_root(root, RELEASE)


@pytest.mark.parametrize(
    ("config", "symbols", "evidence"),
    [
        ("CONFIG_CFI_CLANG=y\n", "", "CONFIG_CFI_CLANG=y in "),
        ("CONFIG_MTD_CFI=m\nCONFIG_CFI=y\n", "", "CONFIG_CFI=y in "),
        (
            "",
            PLAIN + "ffffffff81000000 t __cfi_register_ftrace_function\n",
            "__cfi_register_ftrace",
        ),
        ("", PLAIN + "ffffffff81000000 T __cfi_slowpath_diag\n", "__cfi_slowpath_diag in "),
    ],
)
def test_refused(tmp_path: Path, config: str, symbols: str, evidence: str) -> None:
    with pytest.raises(UnsupportedKernel) as caught:
        control_flow.check(installed(tmp_path, config, symbols))
    assert RELEASE in caught.value.message and evidence in caught.value.message


@pytest.mark.parametrize(
    ("config", "symbols"),
    [
        ("# CONFIG_CFI_CLANG is not set\nCONFIG_MTD_CFI=m\nCONFIG_ARCH_SUPPORTS_CFI_CLANG=y\n", ""),
        ("", PLAIN),
        ("", ""),
    ],
)
def test_accepted(tmp_path: Path, config: str, symbols: str) -> None:
    control_flow.check(installed(tmp_path, config, symbols))


def test_debians_kernel_is_accepted() -> None:
    image = Image.ensure()
    control_flow.check(Kernel.from_root(image.rootfs, image.release))


def test_a_script_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A kernel that is Debian's, but for the configuration in its package."""
    image, root = Image.ensure(), tmp_path / "root"
    modules = f"lib/modules/{image.release}"
    (root / "boot").mkdir(parents=True)
    (root / "lib/modules").mkdir(parents=True)
    (root / "usr").symlink_to(image.rootfs / "usr")
    (root / modules).symlink_to(image.rootfs / modules)
    shutil.copy(image.rootfs / f"boot/vmlinuz-{image.release}", root / "boot")
    (root / f"boot/config-{image.release}").write_text("CONFIG_CFI_CLANG=y\n")
    kernel = {"root": str(root), "release": image.release}
    request = Request("x", text="probe begin {}", kernel=kernel, cache=str(tmp_path / "cache"))
    response = compile_script(request, lambda text: None)
    assert not response.ok and "CONFIG_CFI_CLANG=y" in response.errors[0].message
