# SPDX-License-Identifier: GPL-2.0-or-later
"""Which releases' modules must be replaced."""

from __future__ import annotations

import pytest

from compiler.driver import unsafe_runtimes
from compiler.driver.unsafe_runtimes import UnsafeRuntime
from compiler.version import VERSION


@pytest.mark.parametrize(
    ("release", "unsafe"),
    [("0.3.9", 0), ("0.4", 1), ("0.4.0+ab", 1), ("0.4.10", 1), ("0.5+ab", 0), ("", 0)],
)
def test_unsafe_releases(release: str, unsafe: int) -> None:
    row = UnsafeRuntime("0.4", "0.5", "may hang")
    assert bool(unsafe_runtimes.reason(release, (row,))) is bool(unsafe)


def test_this_release_is_none_of_them() -> None:
    assert unsafe_runtimes.reason(f"{VERSION}+ab") == ""
