# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver: one Request in, one Response out (compiler/protocol.py).

`compile.py` is the entry. `module_cache.py` serves scripts that were compiled before, without
importing the compiler; `pipeline.py` is the list of passes for all others. `tapset_index.py` selects
the library files that a script needs, and `list_probes.py` serves the listings. Code that knows
about requests, caching or the order of passes belongs here; code that knows the language, the
kernel or C does not.
"""
