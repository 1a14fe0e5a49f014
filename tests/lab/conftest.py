# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests for the tests of this folder: an image for the session, a fresh guest for each test file.

What is missing on the machine is installed, and an image that is not in the cache is built; where
that is impossible the tests fail and say why: they are never skipped. LAB_KERNEL chooses a kernel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import DEFAULT_KERNEL, Guest, Image, install_app

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.ensure(os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL)


@pytest.fixture(scope="module")
def guest(image: Image) -> Iterator[Guest]:
    """A guest as Debian made it."""
    with Guest.boot(image) as started:
        yield started


@pytest.fixture(scope="module")
def installed(image: Image) -> Iterator[Guest]:
    """A guest with the project installed: its command, its units, its example probes."""
    if not install_app.runs_in(image):
        pytest.skip(f"Python {image.python} of {image.suite.name} is too old for the project")
    with Guest.boot(image) as started:
        install_app.install(started, PROJECT)
        yield started
