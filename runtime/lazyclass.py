# SPDX-License-Identifier: GPL-2.0-or-later
"""Dataclasses whose methods are written when they are first used; see `runtime.record`.

    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

    Point.__init__ is a stub that replaces itself by `def __init__(self, x, y=...)` in the first call

The standard library writes and compiles six methods for every class when it is defined, 0.6 ms each
time, whether or not they are ever called; 200 classes cost more than compiling a script does. What
is not here (InitVar, keyword-only fields) nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

_MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()


class FrozenInstanceError(AttributeError):
    """An attempt to change what does not change."""


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


def dataclass(cls: type | None = None, /, **options: bool) -> Any:
    """As `dataclasses.dataclass` with frozen, slots, eq and order."""
    if cls is not None:
        return _process(cls)
    return lambda decorated: _process(decorated, **options)


def fields(thing: Any) -> tuple[Field, ...]:
    """The fields of a dataclass or of an instance, in order."""
    found: tuple[Field, ...] = thing.__record_fields__
    return found


def is_dataclass(thing: object) -> bool:
    return hasattr(thing, "__record_fields__")


def replace(thing: Any, /, **changes: Any) -> Any:
    """A copy with some fields changed."""
    for f in fields(thing):
        if f.init and f.name not in changes:
            changes[f.name] = getattr(thing, f.name)
    return type(thing)(**changes)


def asdict(thing: Any) -> dict[str, Any]:
    """Fields by their names, and so on inside; lists, tuples and mappings are copied."""
    return {f.name: _plain(getattr(thing, f.name)) for f in fields(thing)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return asdict(value)
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, Mapping):
        return {_plain(k): _plain(v) for k, v in value.items()}
    return value


class _StandardFields:
    """`__dataclass_fields__`, for functions of the standard library that are given a record."""

    def __get__(self, thing: Any, owner: type) -> dict[str, Any]:
        import dataclasses

        made = dataclasses.make_dataclass(
            owner.__name__,
            [
                (
                    f.name,
                    Any,
                    dataclasses.field(
                        **{
                            name: value
                            for name in ("default", "default_factory")
                            if (value := getattr(f, name)) is not _MISSING
                        },
                        init=f.init,
                        repr=f.repr,
                        compare=f.compare,
                        kw_only=True,
                    ),
                )
                for f in fields(owner)
            ],
        )
        found: dict[str, Any] = vars(made)["__dataclass_fields__"]
        return found


def _process(
    cls: type, *, frozen: bool = False, slots: bool = False, eq: bool = True, order: bool = False
) -> type:
    inherited: dict[str, Field] = {f.name: f for f in getattr(cls, "__record_fields__", ())}
    own: dict[str, Field] = {}
    for name in cls.__annotations__:
        given = cls.__dict__.get(name, _MISSING)
        one = given if type(given) is Field else Field(default=given)
        one.name = name
        own[name] = one
        if type(given) is Field:
            delattr(cls, name)  # a default comes back below, where there are no slots
    found = list((inherited | own).values())
    members: dict[str, Any] = {
        "__record_fields__": tuple(found),
        "__dataclass_fields__": _StandardFields(),
        "__match_args__": tuple(f.name for f in found if f.init),
    }
    if "__repr__" not in cls.__dict__:
        members["__repr__"] = _repr
    if eq:
        _add_comparing(members, cls, found, frozen, order)
    if frozen:
        members["__setattr__"] = members["__delattr__"] = _refuse
    if slots:
        cls = _with_slots(cls, tuple(own), members)
    else:
        for f in own.values():
            if f.default is not _MISSING:
                setattr(cls, f.name, f.default)
        for name, value in members.items():
            setattr(cls, name, value)
    if "__init__" not in cls.__dict__:
        cls.__init__ = _stub(cls, found, frozen)  # type: ignore[misc]
    return cls


def _with_slots(cls: type, names: tuple[str, ...], members: dict[str, Any]) -> type:
    """The class again: slots can be given only when one is made."""
    body = {name: value for name, value in cls.__dict__.items() if name not in _OF_THE_OLD}
    for name in names:
        body.pop(name, None)
    made = type(cls)(cls.__name__, cls.__bases__, {**body, **members, "__slots__": names})
    made.__qualname__ = cls.__qualname__
    return made


_OF_THE_OLD = ("__dict__", "__weakref__")


def _stub(cls: type, found: list[Field], frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, /, *given: Any, **named: Any) -> None:
        made = _written(cls, found, frozen)
        cls.__init__ = made  # type: ignore[misc]
        made(self, *given, **named)

    return __init__


def _written(cls: type, found: list[Field], frozen: bool) -> Callable[..., None]:
    """The real `__init__`."""
    scope: dict[str, Any] = {"_set": object.__setattr__, "_missing": _MISSING}
    parameters, lines = ["self"], []
    for f in found:
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


def _add_comparing(
    members: dict[str, Any], cls: type, found: list[Field], frozen: bool, order: bool
) -> None:
    names = [f.name for f in found if f.compare]
    values: Callable[[Any], Any] = attrgetter(*names) if names else lambda self: ()

    def __eq__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    def __hash__(self: Any) -> int:
        return hash(values(self))

    def __lt__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) < values(other)

    if "__eq__" not in cls.__dict__:
        members["__eq__"] = __eq__
        if cls.__dict__.get("__hash__") is None:
            members["__hash__"] = __hash__ if frozen else None
    if order:
        members["__lt__"] = __lt__


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse(self: Any, name: str, value: Any = None) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} does not change")
