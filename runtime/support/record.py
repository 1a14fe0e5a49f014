# SPDX-License-Identifier: GPL-2.0-or-later
"""The dataclasses of this project: those of the standard library to a reader and to mypy.

    from runtime.support.record import dataclass, field, replace

When running they are those of `runtime.support.lazy_record`, which behave the same and are defined a hundred
times faster: a process that compiles one script defines all its classes for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
else:
    from runtime.support.lazy_record import asdict, dataclass, field, fields, is_dataclass, replace

__all__ = ["asdict", "dataclass", "field", "fields", "is_dataclass", "replace"]
