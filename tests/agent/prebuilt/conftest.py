# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder for the tests of a file, which follow one another on its store."""

from __future__ import annotations

import pytest

from lab import Image
from tests.agent.prebuilt.builder import Builder


@pytest.fixture(scope="module")
def builder(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("builder"), image)
