# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m compiler`: one request on stdin, one response on stdout, progress on stderr."""

import json
import sys

from compiler.driver import compile_script
from compiler.request import Request


def main() -> int:
    try:
        request = Request.from_tree(json.load(sys.stdin))
    except (ValueError, TypeError) as error:
        print(f"bad compile request: {error}", file=sys.stderr)
        return 2
    response = compile_script(request, lambda line: print(line, file=sys.stderr, flush=True))
    json.dump(response.to_tree(), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
