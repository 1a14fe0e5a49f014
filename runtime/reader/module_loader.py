# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading and unloading kernel modules, with the reason if the kernel refuses.

    can_load_modules()             -> None, or "this kernel has no loadable modules"
    load(Path("swatch_1234.ko"))   # LoadError("the kernel refused module swatch_1234: ...")
    [m.name for m in loaded()]     -> ["swatch_1234", "nf_tables", ...]
    unload("swatch_1234")          -> True

Needs CAP_SYS_MODULE. Uses the system calls finit_module, init_module and delete_module, /proc/modules, and
/dev/kmsg for the kernel's messages.
"""

import ctypes
import errno
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from runtime.reader import module_memory
from runtime.support.record import record

_MODULE_SUFFIX: Final = ".ko"
OFF: Final = "stapwatch=off"  # on the kernel's command line
_CAP_SYS_MODULE: Final = 16
_POLL_S: Final = 0.01
_RECORD: Final = 8192  # longest record of /dev/kmsg
# architecture: numbers of finit_module, delete_module and init_module
SYSCALLS: Final = {"x86_64": (313, 176, 175)}

# Lines that the kernel writes about modules that it accepts.
_HARMLESS: Final = ("taints kernel", "tainting kernel", "module license")

_REASONS: Final = {
    errno.EPERM: "not permitted",
    errno.EEXIST: "a module of that name is loaded already; unload it first",
    errno.ENOENT: "it needs a symbol that this kernel lacks; was it built for another?",
    errno.ENOEXEC: "it is not a module for this kernel, or its file is damaged",
    errno.EKEYREJECTED: "it has no signature that this kernel trusts",
    errno.ENOKEY: "this kernel does not know the key that signed it",
    errno.EBADMSG: "its signature is malformed",
    errno.ENOMEM: "not enough kernel memory (per-CPU memory included)",
    errno.ENOSYS: "this kernel has no loadable modules (CONFIG_MODULES)",
    errno.ETXTBSY: "its file is being written",
    errno.EINVAL: "it contradicts itself or the kernel",
}


class LoadError(OSError):
    """The kernel refused to load or unload a module; `log` holds its messages about that."""

    def __init__(self, number: int, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(number, message)
        self.log = tuple(log)

    def __str__(self) -> str:
        return str(self.strerror)


@record
class Module:
    """A line of /proc/modules. `size` in bytes; `state` is Live, Loading or Unloading."""

    name: str
    size: int
    references: int
    holders: tuple[str, ...]
    state: str


class KernelLog:
    """The messages that the kernel writes from now on; empty for a process that may not read them."""

    def __init__(self, path: Path = Path("/dev/kmsg")) -> None:
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    def lines(self) -> list[str]:
        """The messages since the last call, without levels and times."""
        messages = []
        while self._fd >= 0:
            try:
                record = os.read(self._fd, _RECORD)
            except BrokenPipeError:
                continue  # older records were overwritten: continue with the oldest one left
            except OSError:
                break
            if not record:
                break
            messages.append(message(record))
        return messages

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "KernelLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def message(record: bytes) -> str:
    """The text of a /dev/kmsg record: `6,1042,7714,-;text` and then lines of ` KEY=value`."""
    text = record.decode(errors="backslashreplace")
    return text.partition(";")[2].partition("\n")[0]


def can_load_modules(root: Path = Path("/")) -> str | None:
    """The reason why this process cannot load modules, or None. Whether they must be signed is no reason.

    `root` is the folder that contains proc and sys.
    """
    proc = root / "proc"
    if why := switched_off(root):
        return why
    if not (proc / "modules").exists():
        return "this kernel has no loadable modules (CONFIG_MODULES)"
    if _text(proc / "sys/kernel/modules_disabled") == "1":
        return "loading modules was switched off until reboot (kernel.modules_disabled = 1)"
    if not may_load(proc):
        return "this process lacks CAP_SYS_MODULE; run it as root, or start stapwatch-loader.socket"
    return None


def may_load(proc: Path = Path("/proc")) -> bool:
    """Whether this process has CAP_SYS_MODULE."""
    return has_capability(_CAP_SYS_MODULE, proc)


def has_capability(number: int, proc: Path = Path("/proc")) -> bool:
    """`number` as in linux/capability.h."""
    return bool(_capabilities(proc) >> number & 1)


def switched_off(root: Path = Path("/")) -> str | None:
    """Why no module of ours is to be loaded since the kernel booted, or None."""
    if OFF in _text(root / "proc/cmdline").split():
        return f"the kernel was booted with {OFF}; remove it from the kernel's command line, and reboot"
    return None


def loaded(proc: Path = Path("/proc")) -> tuple[Module, ...]:
    """The loaded modules, newest first; () if the kernel has no modules."""
    modules = []
    for line in _text(proc / "modules").splitlines():
        fields = line.split()
        if len(fields) < 5:
            continue
        name, size, references, holders, state = fields[:5]
        modules.append(
            Module(
                name,
                int(size),
                int(references) if references.isdigit() else 0,
                tuple(h for h in holders.split(",") if h not in ("", "-", "[permanent]")),
                state,
            )
        )
    return tuple(modules)


def load(path: Path, parameters: str = "", image: bytes | None = None) -> None:
    """Load a module file. `image`: the bytes to load in place of the file's, as they are with a signature.
    Raises LoadError with the kernel's reason, or ours if the module needs more memory than the machine can
    spare, and OSError for an unreadable file."""
    name = module_name(path)
    if why := switched_off():
        raise LoadError(errno.EPERM, f"module {name} is not loaded: {why}")
    _check_memory(path)
    with KernelLog() as log:
        if image is not None:
            error = _syscall(2, image, len(image), parameters.encode())
        else:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                error = _syscall(0, fd, parameters.encode(), 0)
            finally:
                os.close(fd)
        if error:
            lines = log.lines()
            raise LoadError(error, refusal(name, error, lines), relevant(name, lines))


def _check_memory(path: Path) -> None:
    """What the module itself checks again, with a message that names arrays."""
    manifest = module_memory.manifest_of(path)
    if manifest is None:
        return
    try:
        cpus, available = module_memory.possible_cpus(), module_memory.available_memory()
    except (OSError, ValueError):
        return  # a container without them: the kernel knows
    if why := module_memory.refusal(manifest, cpus, available):
        raise LoadError(errno.ENOMEM, why)


def unload(name: str, timeout_s: float = 10.0) -> bool:
    """Unload a module, waiting until no process has it open; False if it is not loaded.

    Raises LoadError if it stays in use for `timeout_s` seconds, or if the kernel refuses.
    """
    deadline = time.monotonic() + timeout_s
    with KernelLog() as log:
        while error := _syscall(1, name.encode(), os.O_NONBLOCK):
            if error == errno.ENOENT:
                return False
            if error not in (errno.EAGAIN, errno.EBUSY):
                lines = relevant(name, log.lines())
                detail = f" ({'; '.join(lines)})" if lines else ""
                raise LoadError(
                    error, f"cannot unload module {name}: {_unload_reason(error)}{detail}", lines
                )
            if time.monotonic() >= deadline:
                raise LoadError(
                    error,
                    f"cannot unload module {name}: still in use{_users(name)} after "
                    f"{timeout_s:g} s; close the programs that have its device open",
                )
            time.sleep(_POLL_S)
    return True


def module_name(path: Path) -> str:
    """The name that the kernel gives to the module in this file."""
    return path.name.removesuffix(_MODULE_SUFFIX).replace("-", "_")


def refusal(name: str, error: int, lines: Sequence[str]) -> str:
    """One sentence for a load that failed with an errno and these kernel messages."""
    messages = relevant(name, lines)
    if any("lockdown" in line.lower() for line in messages):
        reason = "the kernel is locked down, and trusts no signature of the module"
    elif (
        any("signature" in line or "unsigned" in line for line in messages) and error == errno.EPERM
    ):
        reason = _REASONS[errno.EKEYREJECTED]
    else:
        reason = _REASONS.get(error, os.strerror(error))
        if error == errno.EPERM:
            reason = can_load_modules() or reason
    detail = f" (kernel: {'; '.join(messages)})" if messages else ""
    return f"the kernel refused module {name}: {reason}{detail}"


def relevant(name: str, lines: Sequence[str]) -> list[str]:
    """The messages that explain a refusal, each once and without the module's name in front."""
    found: dict[str, None] = {}
    for line in lines:
        if any(word in line for word in _HARMLESS):
            continue
        if name in line or "lockdown:" in line.lower() or "unsigned module" in line:
            for prefix in (f"{name}: ", f"module {name}: ", f"stapwatch: {name}: "):
                line = line.removeprefix(prefix)
            found[line] = None
    return list(found)


def _unload_reason(error: int) -> str:
    match error:
        case errno.EPERM:
            return "not permitted; it needs CAP_SYS_MODULE"
        case errno.ENOSYS:
            return _REASONS[errno.ENOSYS]
        case _:
            return os.strerror(error)


def _users(name: str) -> str:
    for module in loaded():
        if module.name == name:
            by = f" by {', '.join(module.holders)}" if module.holders else ""
            return f"{by} ({module.references} references)"
    return ""


def _syscall(which: int, *args: int | bytes) -> int:
    """0, or the errno of the failed call."""
    try:
        number = SYSCALLS[platform.machine()][which]
    except KeyError:
        return errno.ENOSYS
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) for a in args]
    while libc.syscall(ctypes.c_long(number), *converted) < 0:
        error = ctypes.get_errno()
        if error != errno.EINTR:
            return error
    return 0


def _capabilities(proc: Path) -> int:
    for line in _text(proc / "self/status").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _text(path: Path) -> str:
    """A small file's text; "" if there is none."""
    try:
        return path.read_text(errors="backslashreplace").strip()
    except OSError:
        return ""
