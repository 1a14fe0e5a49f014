# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU starts this for each connection of a guest to a service of this machine.

    python3 relay.py 127.0.0.1 5000        # its input and output are the guest's end: Guest.boot(reach=...)

It prints nothing: errors would reach the guest as data, so a connection that fails just ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

_PIECE = 1 << 16


def _copy(source: int, dest: int) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(source, _PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(dest, view) :]


def main(address: str, port: str) -> None:
    with contextlib.suppress(OSError), socket.create_connection((address, int(port))) as peer:

        def out() -> None:
            _copy(0, peer.fileno())
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_WR)

        threading.Thread(target=out, daemon=True).start()
        _copy(peer.fileno(), 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    os._exit(0)  # the other direction may still wait for the guest
