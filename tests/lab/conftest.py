# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests for the tests of the lab itself: one with plain Debian, and one with the project."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Guest, Image
from tests.lab_fixtures import project_guest


@pytest.fixture(scope="module")
def guest(image: Image) -> Iterator[Guest]:
    """A guest with plain Debian. Its kernel's log is not checked: a test writes a fault into it."""
    with Guest.boot(image) as started:
        yield started


@pytest.fixture(scope="module")
def installed(image: Image) -> Iterator[Guest]:
    with project_guest(image) as started:
        yield started
