# SPDX-License-Identifier: GPL-2.0-or-later
"""The objects of the runtime, as kbuild lists them."""

from __future__ import annotations

import pytest

from compiler.modbuild.kit_build import runtime_objects


@pytest.mark.parametrize("form", ["/w/slow/{}", "./{}", "{}"])
def test_each_way_to_list_objects(form: str) -> None:
    names = ("core/main.o", "script.o", "lib/array.o", "manifest.o")
    listed = "\n".join(form.format(name) for name in names) + "\n\n"
    assert runtime_objects(listed, "/w/slow") == ["core/main.o", "lib/array.o"]
