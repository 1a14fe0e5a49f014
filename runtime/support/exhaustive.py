# SPDX-License-Identifier: GPL-2.0-or-later
"""typing.assert_never, which Python 3.10 does not have yet.

match kind:
    case Kind.A: ...
    case _:
        assert_never(kind)  # a type checker reports each kind that has no case
"""

from __future__ import annotations

from typing import NoReturn


def assert_never(value: NoReturn, /) -> NoReturn:
    """Raises AssertionError: a value came here that types exclude."""
    raise AssertionError(f"there is no case for {value!r}")
