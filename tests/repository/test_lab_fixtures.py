# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's fixtures where no guest is needed: a fault of the kernel fails the test file that was running."""

from __future__ import annotations

import pytest

BOOTED = """
import pytest

class Booted:
    def complaints(self):
        return {lines}

@pytest.fixture(scope="session")
def booted():
    return Booted()
"""
TESTS = """
def test_one(guest): pass
def test_two(guest): pass
def test_without_a_guest(): pass
"""


@pytest.mark.parametrize(("lines", "errors"), [([], 0), (["WARNING: CPU: 0 PID: 1 at nowhere"], 1)])
def test_the_kernels_log_is_checked_when_a_file_is_over(
    pytester: pytest.Pytester, lines: list[str], errors: int
) -> None:
    pytester.makeconftest(BOOTED.format(lines=lines))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "tests.lab_fixtures", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=errors)
    if errors:
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_*", "*at nowhere*"])
