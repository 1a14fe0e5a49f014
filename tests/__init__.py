# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a test stands.

The tests of a module mirror its path: `compiler/frontend/lexer.py` is tested by
`tests/compiler/frontend/test_lexer.py`, and what needs a file of its own by `test_lexer_TOPIC.py` beside it.
What is about a whole package stands one level higher (`tests/compiler/test_growth.py`). C: `tests/runtime/hosted/`
runs the runtime in a process, `tests/runtime/kernel/` in a guest's kernel.

    golden/      one script and what one stage makes of it, as text; no kernel, no gcc
    language/    the language as a whole, in user space; cases/ is one folder for each item of the language
    handlers/    compiled scripts in a guest's kernel: what each probe family and library function gives
    system/      the agent as a service in a guest, seen from outside
    examples/    packaging/probes.d and its configuration in a guest
    lab/         packaging/lab itself
    bench/       `make bench`, and tests that it measures what it says
    repository/  imports, names of files and commit messages
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
