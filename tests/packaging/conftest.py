# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with what the packages depend on, and without anything of this project."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab import DEFAULT_KERNEL, Guest, Image
from tests.lab_fixtures import skip_old_python
from tests.packaging.packages import DEBIAN, python_dependencies

# Commands of other packages that the manual has its reader type.
TYPED = ("curl",)


@pytest.fixture(scope="session")
def image() -> Image:
    """The suite's own versions of the libraries; the guest has no network to get them from."""
    kernel = os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL
    needed = python_dependencies((DEBIAN / "control").read_text())
    return Image.ensure(kernel, (*needed, *TYPED))


@pytest.fixture(scope="module")
def booted(image: Image) -> Iterator[Guest]:
    skip_old_python(image)
    with Guest.boot(image) as started:
        yield started
