# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms of probe points that a script can have, joined from the FORMS of each file in this package.

    FORMS -> ("kernel.function(string)", ..., "timer.s(number)", ...)

This imports every family, so a compile needs it only for a wildcard among a point's names.
"""

from importlib import import_module
from pkgutil import iter_modules

from compiler import probes

# what families import has no forms of its own, and some of it needs debug information
_NO_FAMILIES = ("expand", "forms", "kernel_debug", "kernel_source", "source_places")
_FILES = [
    file.name
    for file in iter_modules(probes.__path__)
    if file.name not in _NO_FAMILIES and not file.name.startswith("program_")
]
FORMS: tuple[str, ...] = tuple(
    form
    for file in _FILES
    for form in getattr(import_module(f"compiler.probes.{file}"), "FORMS", ())
)
