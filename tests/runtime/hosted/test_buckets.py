# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's buckets of native histograms, against Python's big integers: exact for all 63 bits.

The bound 2^(i/2^n) is compared as v^(2^n) * scale^(2^n) with 2^i, so no root is ever rounded here.
"""

from __future__ import annotations

import random
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from compiler.ir.options import histogram_of
from runtime.abi.exponential import ZERO_WORD
from runtime.abi.histogram import exponential, upper_bounds
from tests.runtime.hosted.sanitized import gcc

HERE = Path(__file__).parent
LEAST, MOST = -(1 << 63), (1 << 63) - 1
FAR = 1000  # more than any bucket's number below 0
SCALES = ("1", "1E-9", "0.3", "7E+8")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("buckets") / "buckets"
    gcc("-g", "-O2", HERE / "buckets.c", "-o", made)
    return made


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("schema", range(4))
def test_every_value_is_in_the_bucket_of_the_definition(
    program: Path, schema: int, scale: str
) -> None:
    """The values around every bound and every power of two, and others of all sizes."""
    hist = histogram_of({"kind": "exponential", "schema": schema, "scale": scale})
    shape = exponential(hist)
    near = [bound + d for bound in upper_bounds(hist) for d in (-1, 0, 1, 2)]
    near += [sign * (1 << k) + d for k in range(64) for sign in (1, -1) for d in range(-2, 3)]
    chosen = random.Random(schema)
    near += [chosen.getrandbits(chosen.randrange(1, 64)) for _ in range(500)]
    values = sorted({v for n in near for v in (n, -n) if LEAST <= v <= MOST} | {LEAST, 0})
    argv = [program, shape.per_octave, *shape.marks(), shape.coarse.marks()[0]]
    done = subprocess.run(
        list(map(str, argv)),
        input=struct.pack(f"{len(values)}q", *values),
        capture_output=True,
        timeout=60,
        check=True,
    )
    words = struct.unpack(f"{len(values)}I", done.stdout)
    for value, word in zip(values, words, strict=True):
        assert 0 <= word < hist.buckets
        if value == 0:
            assert word == ZERO_WORD
        elif value > 0:
            assert _counts(shape.first + word - ZERO_WORD - 1, schema, value, shape.scale)
        else:
            bucket = shape.coarse.first + ZERO_WORD - 1 - word
            assert _counts(bucket, 0, -value, shape.scale)


def _counts(bucket: int, schema: int, value: int, scale: Fraction) -> bool:
    """Whether 2^((bucket - 1) / 2^schema) < value * scale <= 2^(bucket / 2^schema)."""
    power = pow(value * scale.numerator, 1 << schema) << FAR
    unit = pow(scale.denominator, 1 << schema) << FAR - 1
    unit = unit << bucket if bucket >= 0 else unit >> -bucket
    return bool(unit < power <= 2 * unit)


@pytest.mark.parametrize("schema", range(4))
def test_finer_buckets_are_parts_of_those_of_schema_0(schema: int) -> None:
    """So an element with negative values can be served at schema 0."""
    for scale in SCALES:
        tree = {"kind": "exponential", "schema": schema, "scale": scale}
        fine = exponential(histogram_of(tree))
        for k, ceiling in enumerate(fine.coarse.ceilings()):
            last = fine.per_octave * (fine.coarse.first + k) - fine.first
            if last < fine.positive:
                assert fine.ceilings()[last] == ceiling
