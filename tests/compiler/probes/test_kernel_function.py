# SPDX-License-Identifier: GPL-2.0-or-later
"""Wildcards leave out what no probe may be put on, and say how many functions that are."""

from __future__ import annotations

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir import syntax
from compiler.probes import Environment, ProbePointError
from compiler.probes.kernel_point import resolve
from tests.golden.kernel import golden_kernel


def components(point: str) -> tuple[syntax.Component, ...]:
    script = parse(f"probe {point} {{ }}".encode(), "x", conditions=Conditions("6.1", "x86_64"))
    (probe,) = script.items
    assert isinstance(probe, syntax.Probe)
    return probe.points[0].components


@pytest.mark.parametrize("suffix", ["", ".call", ".return"])
@pytest.mark.parametrize(("pattern", "left_out"), [("*", 3), ("vfs_*", 0), ("[_f]*", 2)])
def test_a_wildcard_tells_what_it_leaves_out(pattern: str, left_out: int, suffix: str) -> None:
    environment = Environment(golden_kernel())
    point = components(f'kernel.function("{pattern}"){suffix}')
    sites = resolve(point, environment)
    assert "ftrace_caller" not in {site.function for site in sites}
    told = [f"{left_out} functions that fit '{pattern}' cannot be probed safely: left out"]
    assert [w.message for w in environment.warnings] == (told if left_out else [])
    assert all(w.severity == "warning" for w in environment.warnings)


def test_a_wildcard_that_only_unsafe_functions_fit_is_an_error() -> None:
    with pytest.raises(ProbePointError, match="no function that fits it is safe") as raised:
        resolve(components('kernel.function("ftrace_call*")'), Environment(golden_kernel()))
    assert raised.value.slug == "unsafe-function"
