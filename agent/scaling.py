# SPDX-License-Identifier: GPL-2.0-or-later
"""Integers of the kernel as exact decimals of the exported unit.

scaler(Decimal("1e-9"))(1500)             -> b"0.000001500"
bound_text(1048575, Decimal("1e-9"))      -> "0.001048575"
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext

from prometheus_client.utils import floatToGoString

_DIGITS = 80  # enough for 64 bits times any scale that the configuration lets through


def scaler(scale: Decimal) -> Callable[[int], bytes] | None:
    """A function from a value to its scaled text, exact; None: the value itself is right."""
    if scale == 1:
        return None
    _, digits, exponent = scale.normalize().as_tuple()
    assert isinstance(exponent, int)
    factor, places = int("".join(map(str, digits))) * 10 ** max(exponent, 0), max(-exponent, 0)
    if not places:
        return lambda value: b"%d" % (value * factor)
    unit = 10**places
    layout: bytes = b"%%d.%%0%dd" % places

    def scaled(value: int) -> bytes:
        text: bytes = layout % divmod(abs(value) * factor, unit)
        return b"-" + text if value < 0 else text

    return scaled


def bound_text(bound: int, scale: Decimal) -> str:
    """A bucket's bound as Prometheus writes floats, exact: with all digits where a float has too few."""
    with localcontext() as context:
        context.prec = _DIGITS
        exact = Decimal(bound) * scale
        if Decimal(repr(float(exact))) == exact:
            return str(floatToGoString(float(exact)))  # type: ignore[no-untyped-call]
        text = f"{exact:f}"
    return text if "." in text else f"{text}.0"
