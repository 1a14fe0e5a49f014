# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet of one builder and one host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.store.fleet import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)
