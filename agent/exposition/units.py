# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's integers as exact decimals of the exported unit.

printed(Decimal("1e-9"))                  -> Printed(factor=1, mark="%de-9")      1500 -> "1500e-9"
bound_text(1048575, Decimal("1e-9"))      -> "0.001048575"
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from prometheus_client.utils import floatToGoString

from runtime.support.record import record

_DIGITS = 80  # enough for 64 bits times any scale that the configuration accepts


@record
class Printed:
    """How a value is written: multiplied by `factor`, then formatted with `mark`.

    The exponent is part of the format: this is as exact as writing all digits, and costs nothing.
    """

    factor: int
    mark: str


def printed(scale: Decimal) -> Printed:
    _, digits, exponent = scale.normalize().as_tuple()
    assert isinstance(exponent, int)
    factor = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    return Printed(factor, f"%de{exponent}" if exponent < 0 else "%d")


def bound_text(bound: int, scale: Decimal) -> str:
    """A bucket's exact bound in Prometheus' notation, with more digits than a float if needed."""
    with localcontext() as context:
        context.prec = _DIGITS
        exact = Decimal(bound) * scale
        if Decimal(repr(float(exact))) == exact:
            return str(floatToGoString(float(exact)))  # type: ignore[no-untyped-call]
        text = f"{exact:f}"
    return text if "." in text else f"{text}.0"
