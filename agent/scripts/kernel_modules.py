# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules as the agent handles them: load, find, open, unload.

    modules.load(Path("sw_vfs_1a2b3c4d.ko"), "sw_vfs_1a2b3c4d")  -> Device
    modules.names()                                               -> ["sw_vfs_1a2b3c4d"]

The reader of a module holds a lock on its device. So an agent that starts can adopt the modules of an
agent that died, and never opens those of a `stapwatch run` in progress. All calls block: use a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runtime.abi import structs
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError

T = TypeVar("T")


class ModuleError(Exception):
    """A module cannot be loaded, opened or started; the text says which, why, and what to do."""


class BusyError(ModuleError):
    """Another process is reading the module."""


class Modules:
    """The modules of this kernel. `folder` holds their devices."""

    def __init__(self, folder: Path = Path(structs.DEVICE_FOLDER)) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """The loaded modules that have a device."""
        try:
            return sorted(path.name for path in self._folder.iterdir())
        except OSError:
            return []

    def load(self, path: Path, name: str) -> Device:
        """Load and open a module, without starting it. After a ModuleError it is not loaded."""
        self._attempt(lambda: module_loader.load(path))
        try:
            return self.open(name)
        except ModuleError:
            with contextlib.suppress(ModuleError):
                self.unload(name)
            raise

    def open(self, name: str) -> Device:
        """Open a loaded module's device and lock it."""
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
