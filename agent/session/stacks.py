# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays keyed by backtraces, as stacks of functions with a weight: what flame graphs are made of.

    hits["cat", "0xffffffff8131f0b2 0xffffffff8100bb24"] = 17
      ->  {("cat", "do_syscall_64", "vfs_read"): 17}  ->  cat;do_syscall_64;vfs_read 17

A key is a backtrace if its text is a list of addresses, as backtrace(), ubacktrace() and callers() return it,
or lines of symbols, as of sprint_backtrace() and its kin. The other keys are frames below the stack, in their
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from runtime.abi.manifest import ValueType
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import TableValues, Value
from runtime.support.lazy_regex import pattern

Stack: TypeAlias = tuple[str, ...]  # the outermost function first
# the name of the function at an address of the kernel or of a process (0: unknown); None: there is none
Resolver: TypeAlias = Callable[[int, int], "str | None"]

KERNEL = 1 << 63  # addresses from here on are the kernel's
_ADDRESSES = pattern(r"0x[0-9a-f]+(?: 0x[0-9a-f]+)* ?")
_OFFSET = pattern(r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?")
_KERNEL_DIGITS = len("0xffffffff81000000")
_PROCESS_KEYS = ("pid", "tid")
_UNKNOWN = "[unknown]"


def stacks(shot: Snapshot, resolve: Resolver, target: int) -> dict[Stack, int]:
    """All stacks of the script's arrays. With several such arrays, a stack begins with the array's name.

    The weight is a number's value, and a statistic's sum, or its count if the script keeps no sum. `target`:
    the process that user addresses belong to if no key of the array is called pid or tid; 0: none.
    """
    tables = [values for values in shot.tables if _has_stacks(values)]
    found: dict[Stack, int] = {}
    for values in tables:
        name = (values.table.name,) if len(tables) > 1 else ()
        process = _process_key(values)
        for key, value in zip(values.keys, values.values, strict=True):
            weight = _weight(value)
            if weight <= 0:
                continue
            pid = key[process] if process is not None else target
            stack = (*name, *_frames(key, resolve, pid if isinstance(pid, int) else target))
            found[stack] = found.get(stack, 0) + weight
    return found


def folded(found: Mapping[Stack, int]) -> str:
    """One line a stack, `outermost;...;innermost WEIGHT`, sorted."""
    return "".join(f"{';'.join(stack)} {found[stack]}\n" for stack in sorted(found))


def _has_stacks(values: TableValues) -> bool:
    if not values.table.keys or values.table.value is ValueType.STRING:
        return False
    return any(isinstance(k, str) and _is_stack(k) for key in values.keys for k in key)


def _is_stack(text: str) -> bool:
    return _ADDRESSES.fullmatch(text) is not None or "\n" in text


def _process_key(values: TableValues) -> int | None:
    """The place of the key that says which process the addresses belong to."""
    names = [key.name for key in values.table.keys]
    return next((names.index(name) for name in _PROCESS_KEYS if name in names), None)


def _weight(value: Value) -> int:
    if isinstance(value, StatValue):
        return (value.sum if value.sum is not None else value.count) or 0
    return value if isinstance(value, int) else 0


def _frames(key: Sequence[int | str], resolve: Resolver, pid: int) -> Iterator[str]:
    """Keys that are no stacks, then the process's stack, then the kernel's, which it has called."""
    parts = [k for k in key if isinstance(k, str) and _is_stack(k)]
    yield from (_clean(str(k)) for k in key if k not in parts)
    for text in sorted(parts, key=_is_kernel):
        yield from reversed(list(_functions(text, resolve, pid)))


def _is_kernel(text: str) -> bool:
    addresses = _addresses(text)
    return bool(addresses) and addresses[0] >= KERNEL


def _functions(text: str, resolve: Resolver, pid: int) -> Iterator[str]:
    """The functions of one backtrace, the innermost first."""
    addresses = _addresses(text)
    if not addresses:
        lines = (line for line in text.splitlines() if line.strip())
        yield from (_clean(_OFFSET.sub("", line)) for line in lines)
        return
    for number, address in enumerate(addresses):
        # a return address may be the first of the next function: the call is before it
        called = address - (number > 0)
        if not address:  # callers that could not be found
            yield _UNKNOWN
            continue
        name = resolve(called, pid)
        yield _clean(name) if name else f"{address:#x}"


def _addresses(text: str) -> list[int]:
    """The addresses of a list; one of the kernel's that MAXSTRINGLEN has cut is left out."""
    if _ADDRESSES.fullmatch(text) is None:
        return []
    words = text.split()
    if len(words) > 1 and len(words[0]) == _KERNEL_DIGITS > len(words[-1]):
        words.pop()
    return [int(word, 16) & (KERNEL * 2 - 1) for word in words]


def _clean(text: str) -> str:
    """A frame on one line, without the character that divides frames."""
    return "".join(c if c.isprintable() else "?" for c in text.strip().replace(";", ":")) or "?"


def resolver(
    kernel: Callable[[int], str | None], user: Callable[[int, int], str | None]
) -> Resolver:
    """Looks addresses up by whose they are. `kernel` gives `vfs_read+0x12`, of which the offset goes."""

    def resolve(address: int, pid: int) -> str | None:
        name = kernel(address) if address >= KERNEL else user(address, pid) if pid else None
        return name.partition("+0x")[0] if name else None

    return resolve
