# SPDX-License-Identifier: GPL-2.0-or-later
"""The buckets of Prometheus' native histograms, for integers, exactly.

    Exponential(schema=0, scale=Fraction(1)).ceilings()[:4]          -> (1, 2, 4, 8)
    Exponential(schema=0, scale=Fraction(1, 10**9)).first            -> -29    2^-29 s are 1.86 ns

A value v stands for v * scale of the exported unit. Bucket i of schema n counts what is above
2^((i-1)/2^n) and not above 2^(i/2^n), in the exported unit. So bucket `first` is the one of v == 1, and in
units of v, the bounds from there on are `bound(0)`, `bound(1)` ..., most of them irrational. In every octave
2^(b-1) < v <= 2^b there are 2^n of them, at the same places: `marks` are these places, as fractions of 2^63.
With m = v * 2^(64-b) - 1, a bound is below v if, and only if, m is not below its mark: rounding down loses
nothing, since v is whole.
"""

from fractions import Fraction
from math import isqrt
from typing import Final

from runtime.support.record import record

ZERO_WORD: Final = 64  # the words below it are those of negative values
_OCTAVES: Final = 63
_TOP: Final = 63  # bit of a mark


@record
class Exponential:
    schema: int
    scale: Fraction

    @property
    def per_octave(self) -> int:
        return 1 << self.schema

    @property
    def positive(self) -> int:
        """Buckets of the values from 1 to 2^63 - 1."""
        return _OCTAVES * self.per_octave + 1

    @property
    def words(self) -> int:
        """The last one stays 0: every value is within a bound."""
        return ZERO_WORD + 1 + self.positive + 1

    @property
    def first(self) -> int:
        """Prometheus' number of the bucket of v == 1: that of the first bound that is not below 1."""
        power = self.scale**self.per_octave
        i = power.numerator.bit_length() - power.denominator.bit_length() - 1
        while Fraction(2) ** i < power:
            i += 1
        return i

    def marks(self) -> tuple[int, ...]:
        """The places of the bounds in each octave, times 2^63, rounded down; 64 bits each."""
        return tuple(self._floor(k, _TOP) for k in range(self.per_octave))

    def ceilings(self) -> tuple[int, ...]:
        """The largest whole number that is not above each bound, from bucket `first` on.

        Buckets without any whole number have the ceiling of the one before.
        """
        return tuple(self._floor(k, 0) for k in range(self.positive))

    def _floor(self, k: int, shift: int) -> int:
        """bound(k) * 2^shift, rounded down: the 2^schema-th root of a fraction, in integers."""
        power = Fraction(2) ** (self.first + k + shift * self.per_octave)
        power /= self.scale**self.per_octave
        root = power.numerator // power.denominator
        for _ in range(self.schema):
            root = isqrt(root)
        return root

    @property
    def coarse(self) -> "Exponential":
        """Schema 0, in which negative values are counted: a bucket of it is 2^schema of these."""
        return Exponential(0, self.scale)
