# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent as a service in a guest of its own for each file of this folder."""

from __future__ import annotations

import pytest

from lab import Guest, Image
from tests.system.service import PORT, Service
from tests.system.setting import Setting


@pytest.fixture(scope="module")
def setting(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("setting"), image)


@pytest.fixture(scope="module")
def service(guest: Guest) -> Service:
    """The unit, not started."""
    return Service(guest, guest.forward(PORT))
