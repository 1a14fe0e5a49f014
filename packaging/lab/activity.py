# SPDX-License-Identifier: GPL-2.0-or-later
"""A small load of everything that the example probes measure, for the demonstration.

    python3 activity.py /var/tmp        # until it is killed; it makes files in that folder and removes them

A few percent of a processor: writes that reach the disk, reads, processes, connections, sleeps.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAUSE = 0.5  # seconds between rounds
CHUNK = 4096


def write_and_read(folder: Path) -> None:
    """Write some blocks to the disk and read them back."""
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(8):
            file.write(os.urandom(CHUNK))
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        while file.read(CHUNK):
            pass


def connect(server: socket.socket) -> None:
    """Connect to this process, and send a line in each direction."""
    with socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"hello\n")
            accepted.sendall(accepted.recv(64))
            client.recv(64)


def main() -> None:
    folder = Path(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as server:
        while True:
            write_and_read(folder)
            connect(server)
            subprocess.run(["/bin/true"], check=False)
            time.sleep(PAUSE)


if __name__ == "__main__":
    main()
