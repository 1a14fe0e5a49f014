# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules as the agent handles them: load, find, open, unload.

    modules.load(Path("sw_vfs_1a2b3c4d.ko"), "sw_vfs_1a2b3c4d")  -> Device
    modules.names()                                               -> ["sw_vfs_1a2b3c4d"]

The reader of a module holds a lock on its device. So an agent that starts can adopt the modules of an
agent that died, and never opens those of a `stapwatch run` in progress. A module that nothing reads has a
keeper, or its reader was killed, and `reap` unloads it. Loading a module and locking its device are one step
for all others, by a lock on /sys/module. All calls block: use a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final, TypeVar

from agent.signing.errors import SigningError
from agent.signing.signer import Signer
from runtime.abi import structs
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError

_MODULES: Final = Path("/sys/module")
# what the kernel says of a module that it does not trust; of lockdown, EPERM
_UNTRUSTED: Final = (errno.EKEYREJECTED, errno.ENOKEY, errno.EBADMSG, errno.EPERM)

T = TypeVar("T")


class ModuleError(Exception):
    """A module cannot be loaded, opened or started; the text says which, why, and what to do."""


class BusyError(ModuleError):
    """Another process is reading the module."""


class Keeper(IntEnum):
    """Who keeps a module loaded while nothing reads it: the module's parameter `keeper`."""

    NOBODY = 0  # its reader is a `run` in progress
    USER = 1  # `run -F` left it
    AGENT = 2  # the next agent adopts it


class Modules:
    """The modules of this kernel. `folder` holds their devices; `keeper` is of those that are loaded here."""

    def __init__(
        self,
        folder: Path = Path(structs.DEVICE_FOLDER),
        keeper: Keeper = Keeper.NOBODY,
        signer: Signer | None = None,
    ) -> None:
        self._folder, self._keeper = folder, keeper
        self._signer = signer or Signer()

    def refusal(self) -> str | None:
        """Why no module can be loaded, or None."""
        return module_loader.can_load_modules()

    def forget(self, path: Path) -> None:
        """Remove a module's file, which was made to be loaded; the cache has a copy."""
        self._attempt(lambda: path.unlink(missing_ok=True))

    def names(self) -> list[str]:
        """The loaded modules that have a device."""
        try:
            return sorted(path.name for path in self._folder.iterdir())
        except OSError:
            return []

    def load(self, path: Path, name: str) -> Device:
        """Load and open a module, without starting it. After a ModuleError it is not loaded."""
        with _changing():
            self._attempt(lambda: self._insert(path))
            try:
                return self._open(name)
            except ModuleError:
                with contextlib.suppress(ModuleError):
                    self.unload(name)
                raise

    def _insert(self, path: Path) -> None:
        """Give the module to the kernel, signed if the kernel wants that and a key is here."""
        try:
            image = self._signer.image(path)
        except SigningError as error:
            raise ModuleError(f"module {path.stem} cannot be signed: {error}") from error
        try:
            module_loader.load(path, f"keeper={self._keeper:d}", image)
        except module_loader.LoadError as error:
            if error.errno not in _UNTRUSTED or not (advice := self._signer.advice(path)):
                raise
            raise ModuleError(f"{error}; {advice}") from error

    def open(self, name: str) -> Device:
        """Open a loaded module's device and lock it."""
        with _changing():
            return self._open(name)

    def keeper(self, name: str) -> Keeper | None:
        """None if the module says nothing of it: its version is older, or it is gone."""
        try:
            return Keeper(int(_keeper_file(name).read_text()))
        except (OSError, ValueError):
            return None

    def keep(self, name: str, keeper: Keeper) -> None:
        """Set a module's keeper."""
        self._attempt(lambda: _keeper_file(name).write_text(f"{keeper:d}"))

    def reap(self) -> list[str]:
        """Unload the modules of runs that were killed, and say which: nothing reads or keeps them."""
        if not self.names():
            return []
        with _changing():
            return [name for name in self.names() if self._reap(name)]

    def _reap(self, name: str) -> bool:
        if self.keeper(name) is not Keeper.NOBODY:
            return False
        try:
            self._open(name).close()
            self._attempt(lambda: module_loader.unload(name, timeout_s=0))
        except ModuleError:
            return False  # something reads it
        return True

    def _open(self, name: str) -> Device:
        device = self._attempt(lambda: Device.open(name, folder=self._folder))
        try:
            fcntl.flock(device.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            device.close()
            raise BusyError(f"module {name} is read by another process") from None
        return device

    def unload(self, name: str) -> None:
        """Unload a module whose device is closed."""
        self._attempt(lambda: module_loader.unload(name))

    @staticmethod
    def _attempt(action: Callable[[], T]) -> T:
        try:
            return action()
        except (module_loader.LoadError, DeviceError) as error:
            raise ModuleError(error.strerror or str(error)) from error
        except (OSError, ValueError) as error:
            raise ModuleError(str(error)) from error


def _keeper_file(name: str) -> Path:
    return _MODULES / name / "parameters/keeper"


@contextlib.contextmanager
def _changing() -> Iterator[None]:
    """No other process loads, opens or reaps a module meanwhile: one that is not locked yet has a reader."""
    fd = -1
    try:
        with contextlib.suppress(OSError):
            fd = os.open(_MODULES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        if fd >= 0:
            os.close(fd)
