# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of the debug kernel, without building it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Image, LabError, debug_kernel


def test_its_image_is_one_of_its_own_beside_the_plain_one() -> None:
    debug, plain = Image.find("debug"), Image.find(debug_kernel.DEBIAN_KERNEL)
    assert debug.variant == "bookworm+debug"
    # a build of the plain image removes older ones by this pattern
    assert not debug.folder.match(f"{plain.variant}-*")
    assert debug.slowness > plain.slowness


def test_the_key_follows_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = debug_kernel.recipe_key("a")
    assert key == debug_kernel.recipe_key("a") != debug_kernel.recipe_key("b")
    other = tmp_path / "debug.config"
    other.write_text(debug_kernel.CONFIG.read_text() + "CONFIG_MORE=y\n")
    monkeypatch.setattr(debug_kernel, "CONFIG", other)
    assert debug_kernel.recipe_key("a") != key


def test_an_option_that_kconfig_dropped_is_named(tmp_path: Path) -> None:
    lines = debug_kernel.CONFIG.read_text().splitlines()
    (tmp_path / ".config").write_text("\n".join(lines))
    debug_kernel.check_config(tmp_path)
    (tmp_path / ".config").write_text("\n".join(lines).replace("CONFIG_KASAN=y", ""))
    with pytest.raises(LabError, match="lacks CONFIG_KASAN=y"):
        debug_kernel.check_config(tmp_path)


def test_another_debian_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/debian_version").write_text("99.1\n")
    with pytest.raises(LabError, match="needs the compiler of Debian 99"):
        debug_kernel.check_host(tmp_path)
