# SPDX-License-Identifier: GPL-2.0-or-later
"""Members are what they would be by enum.StrEnum of later Pythons."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from runtime.support.str_enum import StrEnum


class Tier(StrEnum):
    FAST = "fast"
    KBUILD = "kbuild"


def test_a_member_is_its_string() -> None:
    text = str(Tier.FAST)
    assert text == Tier.FAST
    assert (type(text), text) == (str, "fast")
    assert f"{Tier.FAST}" == "%s" % Tier.FAST == "fast"  # noqa: UP031
    assert f"{Tier.FAST:>6}|" == "  fast|"
    assert json.dumps({Tier.FAST: Tier.KBUILD}) == '{"fast": "kbuild"}'
    assert "-".join(Tier) == "fast-kbuild"
    assert repr(Tier.FAST) == "<Tier.FAST: 'fast'>"


def test_a_member_is_found_by_its_string() -> None:
    assert Tier("kbuild") is Tier.KBUILD
    assert pickle.loads(pickle.dumps(Tier.KBUILD)) is copy.deepcopy(Tier.KBUILD) is Tier.KBUILD
    with pytest.raises(ValueError, match="'slow' is not a valid Tier"):
        Tier("slow")
