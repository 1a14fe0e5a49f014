# SPDX-License-Identifier: GPL-2.0-or-later
"""Patterns of functions' names."""

from __future__ import annotations

import re

import pytest

from compiler.support.globs import function_regex


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("add", "add", True),
        ("add", "shop::add", False),
        ("cart::add", "shop::cart::add", True),
        ("cart::add", "shopcart::add", False),
        ("::cart::add", "shop::cart::add", False),
        ("::cart::add", "cart::add", True),
        ("cart::*", "shop::cart::operator bool", True),
        ("*<int, long>", "shop::pair<int, long>", True),
        ("vfs_*", "vfs_read", True),
    ],
)
def test_function_names(pattern: str, name: str, fits: bool) -> None:
    assert bool(re.fullmatch(function_regex(pattern), name)) == fits
