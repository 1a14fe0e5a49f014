# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m compiler`: one request a line on stdin, one response a line on stdout (compiler/protocol.py).

The process ends at the end of its input. Progress goes to stderr. A request that cannot be decoded
ends it with exit status 2.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from runtime.support.footprint import hash_without_openssl

gc.disable()  # importing the compiler and compiling one script leave almost no garbage
hash_without_openssl()

from compiler.driver.compile import compile_script  # noqa: E402 - it imports hashlib
from compiler.protocol import ProtocolError, decode_request, encode  # noqa: E402

if TYPE_CHECKING:
    import socket


def main() -> int:
    for number, line in enumerate(sys.stdin.buffer):
        if number:
            gc.collect()
        try:
            request = decode_request(line)
        except ProtocolError as error:
            print(f"bad compile request: {error}", file=sys.stderr)
            return 2
        response = compile_script(request, lambda text: print(text, file=sys.stderr, flush=True))
        sys.stdout.buffer.write(encode(response))
        sys.stdout.buffer.flush()
    return 0


def serve_socket(sock: socket.socket) -> None:
    """The same over a socket, for the loader (driver/compile_service.py)."""
    from compiler.driver.compile_service import serve

    serve(sock)
    os._exit(0)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # taking all of the compiler's objects apart would be a tenth of a compile
