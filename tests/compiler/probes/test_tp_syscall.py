# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls by name with the arguments of raw tracepoints; what they expand to: tests/language/test_points.py."""

from __future__ import annotations

import pytest

from tests.language.workbench import compile_text, refusal


def test_the_registers_and_the_number_are_the_arguments() -> None:
    c = compile_text(
        """probe tp_syscall("openat,~compat_openat") { printf("%d %s", $arg1->di, $$parms) }"""
    ).c_text
    assert c.count("SW_CALLER(regs)->orig_ax") == 2  # each program's own function


def test_at_the_return_the_second_is_the_result() -> None:
    c = compile_text(
        """probe tp_syscall("openat").return { printf("%s %s", $$vars, $$name) }"""
    ).c_text
    assert '"arg1=%p arg2=%p"' in c and "{ entry->v0, (s64)SW_RETURN_VALUE(regs) }" in c
    assert "orig_ax" not in c


@pytest.mark.parametrize(
    ("point", "slug"),
    [
        ('tp_syscall("nosuch")', "unknown-function"),
        ('tp_syscall("~nosuch,nosuch")', "unknown-function"),
        ('tp_syscall("openat").call', "unknown-probe-point"),
        ('tp_syscall("openat").return.maxactive(3)', "unknown-probe-point"),
        ("tp_syscall(5)", "bad-probe-argument"),
    ],
)
def test_what_is_refused(point: str, slug: str) -> None:
    assert refusal(f"probe {point} {{ println(1) }}") == [slug]
