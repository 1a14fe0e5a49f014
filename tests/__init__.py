# SPDX-License-Identifier: GPL-2.0-or-later
"""Where to find a test.

The tests of a module have its path below tests/: `tests/compiler/frontend/test_lexer.py` tests
`compiler/frontend/lexer.py`, and a file next to it called `test_lexer_TOPIC.py` tests one topic of it. A test
of a whole package is one level higher (`tests/compiler/test_growth.py`). The runtime's C is tested in a
process by `tests/runtime/hosted/` and in a guest's kernel by `tests/runtime/kernel/`. The other folders have
tests that span rooms:

    golden/      scripts, each with the output of one stage of the compiler
    language/    the whole language in user space; cases/ has a folder for each item of the language
    handlers/    compiled scripts in a guest's kernel, for each probe family and for the library
    system/      the agent as a service in a guest, seen from outside
    examples/    packaging/probes.d and its configuration in a guest
    kernels/     `make kernels`: the tests that need a kernel on each of the lab's, and a table
    torture/     `make torture`: all kinds of load at once in a guest's kernel, and a short round of it
    lab/         packaging/lab itself
    packaging/   the packages: what is in them, and their life in a guest
    bench/       `make bench`, and tests of its measurements
    manual/      manual pages and docs/manual/, completion and syntaxes, held against the code
    repository/  imports, locations of files, commit messages

Fixtures of the lab are in `lab_fixtures.py`, the format of golden and language cases in `case_file.py`.
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
