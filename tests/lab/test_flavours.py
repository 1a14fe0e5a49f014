# SPDX-License-Identifier: GPL-2.0-or-later
"""Other kernels of Debian's: which image is whose. `make kernels` builds and boots them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab import KERNELS, Image, LabError, flavours
from lab.flavours import FLAVOURS


def test_each_has_an_image_of_its_own_and_its_guest_s_user_space() -> None:
    folders = {kernel: Image.find(kernel).folder for kernel in KERNELS}
    assert len({*folders.values()}) == len(KERNELS)
    for name, flavour in FLAVOURS.items():
        assert Image.find(name).suite == Image.find(flavour.guest).suite
        assert Image.find(name).variant == f"{flavour.base.name}+{name}"


def test_key_covers_the_guest_and_the_row() -> None:
    flavour = FLAVOURS["6.1-rt"]
    key = flavours.recipe_key(flavour, "a")
    assert key == flavours.recipe_key(flavour, "a") != flavours.recipe_key(flavour, "b")
    assert flavours.recipe_key(replace(flavour, packages="cloud-amd64"), "a") != key


def test_its_guest_takes_no_more_packages() -> None:
    with pytest.raises(LabError, match=r"guest of kernel 5\.10 takes no more packages"):
        Image.find("5.10", ("bpftrace",))


def test_order_is_that_of_numbers() -> None:
    mixed = ["6.12", "6.1-rt", "5.10", "6.1", "6.12-cloud", "6.1-cloud"]
    assert sorted(mixed, key=flavours.order) == [
        "5.10", "6.1", "6.1-cloud", "6.1-rt", "6.12", "6.12-cloud",
    ]  # fmt: skip
