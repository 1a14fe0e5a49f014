# SPDX-License-Identifier: GPL-2.0-or-later
"""Records: dataclasses that cost nothing until they are used.

    @record
    class Point:
        x: int
        y: int = 0

    Point.__init__ replaces itself by `def __init__(self, x, y=...)` after some calls

The standard library writes and compiles six methods for every class when the class is defined:
0.6 ms each time, whether or not they are ever called. This package defines more than 200 classes, and
a process that compiles one script would spend more on them than on the script. Here each method
compiles itself when it is first called. Type checkers know `record` by PEP 681. A record is frozen
unless `frozen=False`.
"""

from __future__ import annotations

from _thread import RLock  # not threading, which a compiler does without
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:  # typing has it since Python 3.11; it is only a mark for type checkers

    def dataclass_transform(**_: Any) -> Any:
        return lambda function: function


_T = TypeVar("_T")
_OFTEN = 12  # calls of an `__init__` that cost as much as compiling the real one
_set = object.__setattr__
_computing = (
    RLock()
)  # of attributes that are computed once: finding a class's fields changes the class
_MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()


class FrozenInstanceError(AttributeError):
    """A field of a frozen record was assigned."""


class Field:
    """One field; the options mean what they mean for `dataclasses.field`."""

    __slots__ = ("compare", "default", "default_factory", "init", "name", "repr")

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        init: bool = True,
        repr: bool = True,
        compare: bool = True,
    ) -> None:
        self.name = ""
        self.default, self.default_factory = default, default_factory
        self.init, self.repr, self.compare = init, repr, compare


def field(**options: Any) -> Any:
    return Field(**options)


@overload
def record(cls: type[_T], /) -> type[_T]: ...
@overload
def record(
    *, frozen: bool = True, eq: bool = True, order: bool = False
) -> Callable[[type[_T]], type[_T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: Any = None, /, **options: bool) -> Any:
    """Make a class a record. `frozen`, `eq` and `order` mean what they mean for a dataclass."""
    if cls is not None:
        return _process(cls)
    return lambda decorated: _process(decorated, **options)


def fields(thing: Any) -> tuple[Field, ...]:
    """The fields of a record class or of an instance, in order."""
    found: tuple[Field, ...] = thing.__record_fields__
    return found


def is_record(thing: object) -> bool:
    return hasattr(thing, "__record_fields__")


def replace(thing: _T, /, **changes: Any) -> _T:
    """A copy with some fields changed."""
    for f in fields(thing):
        if f.init and f.name not in changes:
            changes[f.name] = getattr(thing, f.name)
    return type(thing)(**changes)


def asdict(thing: Any) -> dict[str, Any]:
    """The fields by name, recursively; lists, tuples and mappings are copied."""
    return {f.name: _plain(getattr(thing, f.name)) for f in fields(thing)}


def _plain(value: Any) -> Any:
    if is_record(value):
        return asdict(value)
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, Mapping):
        return {_plain(k): _plain(v) for k, v in value.items()}
    return value


def _process(cls: type, *, frozen: bool = True, eq: bool = True, order: bool = False) -> type:
    """Install methods that compile themselves; the fields are read when one of them is called."""
    own = cls.__dict__
    members: dict[str, Any] = {
        "__record_fields__": _Later("__record_fields__", _find_fields),
        "__match_args__": _Later("__match_args__", _match_args),
    }
    if "__init__" not in own:
        members["__init__"] = _init(cls, frozen)
    if "__repr__" not in own:
        members["__repr__"] = _repr
    if eq and "__eq__" not in own:
        members["__eq__"] = _first(cls, "__eq__", lambda: _equal(cls))
        if own.get("__hash__") is None:
            hashed = _first(cls, "__hash__", lambda: _hash(cls)) if frozen else None
            members["__hash__"] = hashed
    if order:
        members["__lt__"] = _first(cls, "__lt__", lambda: _less(cls))
    if frozen:
        members["__setattr__"] = members["__delattr__"] = _refuse
    for name, value in members.items():
        setattr(cls, name, value)
    return cls


class _Later:
    """An attribute of a class that is computed when it is first read."""

    __slots__ = ("compute", "name")

    def __init__(self, name: str, compute: Callable[[type], Any]) -> None:
        self.name, self.compute = name, compute

    def __get__(self, thing: Any, owner: type) -> Any:
        with _computing:
            for home in owner.__mro__:
                if home.__dict__.get(self.name) is self:
                    setattr(home, self.name, self.compute(home))
                    break
        return getattr(owner, self.name)  # or another thread has computed it meanwhile


def _find_fields(cls: type) -> tuple[Field, ...]:
    found: dict[str, Field] = {}
    for base in cls.__mro__[:0:-1]:
        if "__record_fields__" in base.__dict__:
            found |= {f.name: f for f in base.__record_fields__}  # type: ignore[attr-defined]
    for name in cls.__annotations__:
        given = cls.__dict__.get(name, _MISSING)
        one = given if type(given) is Field else Field(default=given)
        one.name = name
        found[name] = one
        if type(given) is Field:
            if one.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, one.default)
    return tuple(found.values())


def _match_args(cls: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls) if f.init)


def _first(cls: type, name: str, write: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """A method that replaces itself by the generated one at its first call."""

    def method(self: Any, /, *given: Any, **named: Any) -> Any:
        made = write()
        setattr(cls, name, made)
        return made(self, *given, **named)

    return method


def _init(cls: type, frozen: bool) -> Callable[..., None]:
    """An `__init__` that loops over the fields. After _OFTEN calls it replaces itself by a generated one."""
    calls = 0

    def __init__(self: Any, /, *given: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > _OFTEN or not _filled(self, fields(cls), given, named):
            made = _written(cls, frozen)
            cls.__init__ = made  # type: ignore[misc]
            made(self, *given, **named)
        elif hasattr(cls, "__post_init__"):
            self.__post_init__()

    return __init__


def _filled(
    self: Any, found: tuple[Field, ...], given: tuple[Any, ...], named: dict[str, Any]
) -> bool:
    """Set every field; False if the arguments are wrong, which the generated method reports best."""
    used = by_name = 0
    for f in found:
        name = f.name
        if f.init and used < len(given):
            value = given[used]
            used += 1
            if name in named:
                return False
        elif f.init and name in named:
            value = named[name]
            by_name += 1
        elif f.default is not _MISSING:
            value = f.default
        elif f.default_factory is not _MISSING:
            value = f.default_factory()
        elif f.init:
            return False
        else:
            continue
        _set(self, name, value)
    return used == len(given) and by_name == len(named)


def _written(cls: type, frozen: bool) -> Callable[..., None]:
    """The generated `__init__`."""
    scope: dict[str, Any] = {"_set": _set, "_missing": _MISSING}
    parameters, lines = ["self"], []
    for f in fields(cls):
        value = name = f.name
        if f.default_factory is not _MISSING:
            scope[f"_make_{name}"] = f.default_factory
            value = f"_make_{name}() if {name} is _missing else {name}"
            parameters.append(f"{name}=_missing")
            if not f.init:
                parameters.pop()
                value = f"_make_{name}()"
        elif f.default is not _MISSING:
            scope[f"_default_{name}"] = f.default
            if f.init:
                parameters.append(f"{name}=_default_{name}")
            else:
                value = f"_default_{name}"
        elif f.init:
            parameters.append(name)
        else:
            continue
        lines.append(f" _set(self,{name!r},{value})" if frozen else f" self.{name}={value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    text = f"def __init__({','.join(parameters)}):\n" + ("\n".join(lines) or " pass")
    exec(text, scope)
    made: Callable[..., None] = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _values(cls: type) -> Callable[[Any], Any]:
    names = [f.name for f in fields(cls) if f.compare]
    return attrgetter(*names) if names else lambda self: ()


def _equal(cls: type) -> Callable[[Any, Any], Any]:
    values = _values(cls)

    def __eq__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hash(cls: type) -> Callable[[Any], int]:
    values = _values(cls)

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


def _less(cls: type) -> Callable[[Any, Any], Any]:
    values = _values(cls)

    def __lt__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) < values(other)

    return __lt__


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse(self: Any, name: str, value: Any = None) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} does not change")
