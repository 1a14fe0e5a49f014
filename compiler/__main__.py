# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m compiler`: requests on stdin, a line of JSON each, as many responses on stdout.

It ends when its input does; progress goes to stderr.
"""

import gc
import json
import sys

from runtime.support.footprint import hash_without_openssl

hash_without_openssl()

from compiler.driver.compile import compile_script  # noqa: E402 - hashlib is among what it imports
from compiler.protocol import Request  # noqa: E402


def main() -> int:
    gc.disable()  # next to nothing of what one script takes is garbage
    for number, line in enumerate(sys.stdin.buffer):
        if number:
            gc.collect()
        try:
            request = Request.from_tree(json.loads(line))
        except (ValueError, TypeError) as error:
            print(f"bad compile request: {error}", file=sys.stderr)
            return 2
        response = compile_script(request, lambda text: print(text, file=sys.stderr, flush=True))
        print(json.dumps(response.to_tree()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
