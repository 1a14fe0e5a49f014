# SPDX-License-Identifier: GPL-2.0-or-later
"""Code generation: a program becomes one C file that includes stapwatch.h only, and its manifest.

    module.generate(program, options) -> Generated(c_text, manifest)

What is fixed is C under runtime/; here is only what varies: key and row structs, handler bodies, and the
table of probes. Nothing here names a builtin, and nothing here reports a user's mistake.
"""
