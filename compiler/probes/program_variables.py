# SPDX-License-Identifier: GPL-2.0-or-later
"""Context variables of probes in programs: registers by their place, and by name what DWARF tells.

    ProgramVariables(file, registers, code, 0x1040)["count"]  -> Variable("count", "argument", 0, <int>, ...)

The debug information of a program is opened when a script first names one of its variables, types or
source lines. Programs of which nothing is named cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar, cast

from compiler.ir.program import Arithmetic, Deref, Expr, Number, Register
from compiler.ir.source import Span
from compiler.kernel import btf_types as k
from compiler.kernel import type_layout
from compiler.kernel.btf import Btf
from compiler.probes.base import Environment, Variable
from compiler.probes.program_file import ProgramFile
from compiler.support.did_you_mean import did_you_mean
from compiler.userspace.elf_program import Executable
from runtime.support.record import replace

if TYPE_CHECKING:  # a script whose programs have no DWARF does without this room
    from compiler.dwarf.dwarf_types import ProgramTypes
    from compiler.dwarf.functions import Code, Functions
    from compiler.dwarf.index import Index
    from compiler.dwarf.reader import Debuginfo
    from compiler.dwarf.variables import Found, Variables

_T = TypeVar("_T", bound=k.Type)
_D = TypeVar("_D")
_NONE = "'{}' has no debug information"
_INSTALL = "compile it with -g, or install its debug symbols (Debian: NAME-dbgsym)"


class ProgramDebug:
    """One program's debug information. The index of `debug` tells names; its entries are read when types or
    functions are first asked for."""

    def __init__(self, debug: Debuginfo, btf: Btf) -> None:
        self._opened, self._btf = debug, btf

    @property
    def index(self) -> Index:
        return self._opened.index

    @cached_property
    def types(self) -> ProgramTypes:
        from compiler.dwarf.dwarf_types import ProgramTypes

        return ProgramTypes.numbered(self._btf, self._opened)

    @property
    def debug(self) -> Debuginfo:
        """The compile before this one of the same process may have opened it."""
        return self.types.debug

    @cached_property
    def functions(self) -> Functions:
        from compiler.dwarf.functions import Functions

        return Functions(self.debug)


def debug_of(environment: Environment, executable: Executable, path: str) -> ProgramDebug:
    """The debug information of a program, opened once in a compile. Raises DwarfError if it has none."""
    return opened_once(environment, path, lambda: _opened(environment, executable, path))


def opened_once(environment: Environment, key: str, opened: Callable[[], _D]) -> _D:
    """What was opened before in this compile under a key, or why it could not be. Raises DwarfError."""
    from compiler.dwarf.errors import DwarfError

    known = environment.debuginfo.get(key)
    if known is None:
        try:
            known = opened()
        except DwarfError as error:
            known = error
        environment.debuginfo[key] = known
    if isinstance(known, DwarfError):
        raise known
    return cast(_D, known)


def _opened(environment: Environment, executable: Executable, path: str) -> ProgramDebug:
    from compiler.dwarf.errors import DwarfError
    from compiler.dwarf.reader import Debuginfo

    kernel = environment.kernel
    debug = Debuginfo.open(executable, path, environment.programs.read, kernel.cache)
    if debug is None:
        raise DwarfError(_NONE.format(path), _INSTALL)
    return ProgramDebug(debug, kernel.btf)


class ProgramVariables(Mapping[str, Variable]):
    """The variables at one address of a program, as linked. `returns`: at the return of the function that
    begins there, so its parameters are those of its entry.

    `registers`: what is known without debug information. `find`: the code that the probe is in; it returns
    None, or raises DwarfError, if the debug information lacks it.
    """

    def __init__(
        self,
        file: ProgramFile,
        registers: Mapping[str, Variable],
        find: Callable[[ProgramDebug], Code | None],
        address: int,
        *,
        returns: bool = False,
    ) -> None:
        self._file, self._registers = file, registers
        self._find, self._address, self._returns = find, address, returns

    def __getitem__(self, name: str) -> Variable:
        if name in self._registers and name != "return":
            return self._registers[name]
        found = self._named.get(name) or self._registers.get(name) or self.static(name, "")
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._named or self._registers)

    def __len__(self) -> int:
        return len(self._named or self._registers)

    def why_unknown(self, name: str) -> tuple[str, str]:
        if self._problem is not None:
            return self._problem
        hint = did_you_mean(name, self._named).replace("'", "'$", 1)
        has = ", ".join(f"${each}" for each in self._named)
        return f"there is no '${name}' here", hint or (f"there is {has}" if has else "")

    def static(self, name: str, file: str) -> Variable | None:
        from compiler.dwarf.errors import DwarfError
        from compiler.dwarf.reader import damage_reported

        try:
            with damage_reported(self._file.name):
                found = self._variables.variable(name, file)
        except DwarfError:
            return None
        if found is None:
            return None
        # its address is told by where the code is
        return variable_of(found, -1, at_entry=self._returns and self._file.is_moved)

    def type_named(self, kind: type[k.Type], name: str) -> k.Type | None:
        from compiler.dwarf.errors import DwarfError
        from compiler.dwarf.reader import damage_reported

        try:
            with damage_reported(self._file.name):
                found = self._debug.types.find_all(kind, name)
        except DwarfError:
            return None
        return found[0] if found else None

    @property
    def _named(self) -> dict[str, Variable]:
        return self._result[0]

    @property
    def _problem(self) -> tuple[str, str] | None:
        return self._result[1]

    @cached_property
    def _result(self) -> tuple[dict[str, Variable], tuple[str, str] | None]:
        """The variables by name, or why there are none."""
        from compiler.dwarf.errors import DwarfError
        from compiler.dwarf.reader import damage_reported

        try:
            with damage_reported(self._file.name):
                return self._looked_up(), None
        except DwarfError as error:
            return {}, (error.message, error.hint)

    def _looked_up(self) -> dict[str, Variable]:
        from compiler.dwarf.errors import DwarfError

        code = self._find(self._debug)
        if code is None:
            raise DwarfError(f"the debug information of '{self._file.name}' lacks this function")
        found: dict[str, Variable] = {}
        for i, one in enumerate(self._variables.visible(code, self._address).values()):
            if one.kind == "argument":
                found[one.name] = self._saved(one, i) if self._returns else variable_of(one, i)
            elif not self._returns:
                found[one.name] = variable_of(one, -1)
        result = self._variables.result(code) if self._returns else None
        if result is not None:
            found["return"] = variable_of(result, 0)
        return found

    def _saved(self, found: Found, index: int) -> Variable:
        """A parameter, at the return. A number in the caller's frame is read at the entry: the function may
        use its place for others."""
        kernel = self._file.environment.kernel
        integer = type_layout.integer(kernel.btf, found.type_id)
        if found.in_memory and integer is not None:
            assert found.value is not None

            def read(span: Span, place: Callable[[Span], Expr] = found.value) -> Expr:
                return Deref(place(span), integer.size, integer.signed, True, span)

            found = replace(found, value=read, in_memory=False)
        return variable_of(found, index, at_entry=True)

    @property
    def _debug(self) -> ProgramDebug:
        return debug_of(self._file.environment, self._file.executable, self._file.name)

    @cached_property
    def _variables(self) -> Variables:
        from compiler.dwarf.variables import Variables
        from compiler.probes.program_thread_local import thread_local_address

        kernel = self._file.environment.kernel
        return Variables(
            self._debug.debug,
            self._debug.types,
            kernel.btf,
            kernel.arch,
            self._loaded,
            partial(thread_local_address, self._file.executable, self._loaded),
        )

    def _loaded(self, address: int, span: Span) -> Expr:
        """Where a linked address is in the memory of the process that hit the probe."""
        if not self._file.is_moved:
            return Number(address, span)
        here = Register(self._file.executable.arch.instruction_pointer, span)
        return Arithmetic("+", here, Number(address - self._address, span), span)


def variable_of(found: Found, index: int, *, at_entry: bool = False) -> Variable:
    return Variable(
        found.name,
        "local" if found.kind == "global" else found.kind,
        index,
        found.type_id,
        at_entry,
        made=found.value,
        in_memory=found.in_memory,
        words=found.words,
        missing=found.missing,
    )
