# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime's C as one value: the files that are part of every module.

    Sources.ours() -> Sources(files={"include/stapwatch.h": b"...", "lib/array.c": b"...", ...})

The paths are those of a module's build folder: headers for scripts are below include/.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import runtime
from compiler.support import derived_cache
from compiler.support.content_store import digest_of
from runtime.support.record import record

TEMPLATE = Path(__file__).parent / "template"
_FOLDER = Path(runtime.__file__).parent / "kernel"
_COMPILER = Path(__file__).parents[1]
_ROOMS = ("arch", "modbuild")  # of the compiler, whose code decides what a prepared kernel is


@record
class Sources:
    """Relative path -> contents. `digest` covers them and the code that builds them."""

    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> Sources:
        """Read the `.c` and `.h` files below `folder`, and its Kbuild."""
        files = dict(_files(folder))
        code = {
            f"{room}/{path.name}": path.read_bytes()
            for room in _ROOMS
            for path in (_COMPILER / room).glob("*.py")
        }
        return cls(files, digest_of(sorted({**files, **code}.items())))

    @classmethod
    def ours(cls) -> Sources:
        """The runtime of this installation; read once in a process."""
        return _ours()

    @staticmethod
    @functools.cache
    def our_digest(cache_dir: Path) -> str:
        """`ours().digest`, cached: it is asked for before anything is built."""
        rooms = (str(_FOLDER), *(str(_COMPILER / room) for room in _ROOMS))
        paths = [
            f"{folder}/{name}"
            for folder in rooms
            for name in derived_cache.files_below(
                folder, (".c", ".h", ".py", ".S", ".sh", "Kbuild")
            )
        ]
        return derived_cache.derived(
            cache_dir, "runtime", paths, lambda: _read_ours().digest.encode()
        ).decode()

    def write(self, folder: Path) -> None:
        """Lay the files out under `folder`."""
        for name, data in self.files.items():
            if name.startswith("template/"):
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


@functools.cache
def _ours() -> Sources:
    return _read_ours()


def _read_ours() -> Sources:
    return Sources.read(_FOLDER)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*.[ch]"):
        yield str(path.relative_to(folder)), path.read_bytes()
    yield "runtime.kbuild", (folder / "Kbuild").read_bytes()
    for path in TEMPLATE.iterdir():
        yield f"template/{path.name}", path.read_bytes()
