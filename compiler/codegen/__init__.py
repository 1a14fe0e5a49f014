# SPDX-License-Identifier: GPL-2.0-or-later
"""Code generation: a program becomes one C file that includes stapwatch.h only, and its manifest.

    module.generate(program, target, options) -> Generated(c_text, manifest, needs_kernel_headers)

Its steps, in this order:

    string sizes are inferred, globals classified           analysis
    data_layout      every global gets its memory
    functions, handlers                                     bodies of C, by these layers:
        statements > expressions > event_records > global_access > operands > body_emitter
    regex_tables, struct_decls, embedded_c, probe_table     what the bodies rely on

All text goes through c_writer. What is the same in every module is C under runtime/; only what varies is
here: structs of keys and rows, bodies, the table of probes. Nothing here names a library function, reports
an error of the user's, or changes the program; the emitters note what they use and never search their
own output. This room imports `analysis`, `regex`, `ir` and `runtime`.
"""
