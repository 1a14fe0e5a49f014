# SPDX-License-Identifier: GPL-2.0-or-later
"""The buckets of native histograms that a real kernel has counted are those that Prometheus' rule gives, in
whole numbers: bucket i counts 2^((i-1)/2^schema) < v * scale <= 2^(i/2^schema)."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from runtime.abi.exponential import ZERO_WORD, Exponential
from tests.handlers.conftest import Case, check

SCALES = {0: "1E-9", 3: "1E-6"}
READS = 189
# each power of two three times, each time with another neighbour, and everything with both signs
SCRIPT = """global x, n
probe kernel.function("vfs_read") {
	if (pid() != target()) next
	v = (1 << (n % 63)) + n / 63 - 1
	x <<< v
	x <<< -v
	n++
}"""
VALUES = [sign * ((1 << n % 63) + n // 63 - 1) for n in range(READS) for sign in (1, -1)]

CASES = [
    Case(
        f"schema {schema}",
        SCRIPT,
        trigger=f"read {READS}",
        values={"n": READS},
        statistics={"x": {"kind": "exponential", "schema": schema, "scale": scale}},
    )
    for schema, scale in SCALES.items()
]


def bucket(value: int, schema: int, scale: Fraction) -> int:
    """Prometheus' number of the bucket of a value above 0."""
    power = (value * scale) ** (1 << schema)
    i = power.numerator.bit_length() - power.denominator.bit_length() - 1
    while power > Fraction(2) ** i:
        i += 1
    return i


def word(value: int, schema: int, scale: Fraction) -> int:
    """The word that a module counts a value in; values below 0 are counted by schema 0."""
    if value == 0:
        return ZERO_WORD
    if value < 0:
        first = bucket(1, 0, scale)
        return ZERO_WORD - 1 - (bucket(-value, 0, scale) - first)
    return ZERO_WORD + 1 + bucket(value, schema, scale) - bucket(1, schema, scale)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    found = results[case.name]
    check(case, found)
    declared = case.statistics["x"]
    schema, scale = declared["schema"], Fraction(declared["scale"])
    [[_, value]] = found["tables"]["x"]
    assert len(value["buckets"]) == Exponential(schema, scale).words
    counted = {n: count for n, count in enumerate(value["buckets"]) if count}
    assert counted == Counter(word(v, schema, scale) for v in VALUES)
    assert value["count"] == len(VALUES) and value["sum"] == 0
