# SPDX-License-Identifier: GPL-2.0-or-later
"""Our dataclasses against those of the standard library: the same class text, the same behaviour."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import pytest

from runtime.support import lazy_record

TEXT = """
from __future__ import annotations

@d.dataclass(frozen=True, slots=True)
class Plain:
    x: int
    y: int = 2

@d.dataclass(slots=True)
class Counted:
    name: str
    seen: list[int] = d.field(default_factory=list)
    cache: dict[str, int] = d.field(default_factory=dict, init=False, repr=False)
    start: float = d.field(init=False, default=0.5)
    ready: bool = d.field(init=False)

    def __post_init__(self):
        self.ready = bool(self.name)

@d.dataclass(frozen=True, slots=True, order=True)
class Ranked:
    rank: int
    text: str = d.field(default="", compare=False)

@d.dataclass(frozen=True)
class Open:
    value: object
    other: tuple = (1, 2)

    @property
    def doubled(self):
        return self.value * 2

@d.dataclass(frozen=True)
class More(Open):
    third: int = 3
    other: str = "o"

@d.dataclass(frozen=True, slots=True, eq=False)
class Same:
    x: int

@d.dataclass(frozen=True, slots=True)
class Empty:
    pass

@d.dataclass(frozen=True, slots=True)
class Shouting:
    x: int

    def __repr__(self):
        return "!"
"""


def classes(module: ModuleType) -> dict[str, Any]:
    scope: dict[str, Any] = {"d": module, "__name__": __name__}
    exec(TEXT, scope)
    return scope


OURS, THEIRS = classes(lazy_record), classes(dataclasses)

USES = """
Plain(1)
Plain(1, 3).y
Plain(x=1, y=5)
Plain(1) == Plain(1, 2), Plain(1) == Plain(2), Plain(1) == (1, 2), Plain(1) != Plain(3)
hash(Plain(1)) == hash(Plain(1, 2)), len({Plain(1), Plain(1), Plain(2)})
Plain()
Plain(1, 2, 3)
Plain(z=1)
setattr(Plain(1), 'x', 3)
delattr(Plain(1), 'x')
Plain.__match_args__, Plain.__qualname__, Plain.__module__
Counted('a'), Counted('a').seen is Counted('a').seen, Counted('').ready
Counted('a', [1]) == Counted('a', [1]), Counted('a').cache, Counted('a').start
Counted('a', cache={})
hash(Counted('a'))
Counted.__match_args__
sorted([Ranked(2), Ranked(1, 'z'), Ranked(1, 'a')])
Ranked(1, 'a') == Ranked(1, 'b'), hash(Ranked(1, 'a')) == hash(Ranked(1, 'b'))
Ranked(1) < 3
Open(4).doubled, Open(4), Open(4).other, Open.other, Open(1, other=3)
setattr(Open(1), 'value', 2)
More(1), More(1, 'x', 4).third, More(2).doubled, More.__match_args__, More(1) == Open(1)
Same(1) == Same(1), isinstance(hash(Same(1)), int)
Empty() == Empty(), Empty(), hash(Empty()) == hash(Empty())
Shouting(1)
d.replace(Plain(1, 2), y=9), d.replace(Counted('a', [1]), name='b')
d.replace(Plain(1), z=1)
d.asdict(Open({'k': [Plain(1), (Plain(2),)]})), d.asdict(Counted('a', [1, 2]))
[f.name for f in d.fields(Counted)], [f.name for f in d.fields(Plain(1))]
d.is_dataclass(Plain), d.is_dataclass(Plain(1)), d.is_dataclass(3), d.is_dataclass(int)
standard.replace(Plain(1, 2), y=9), standard.asdict(Plain(1)), standard.is_dataclass(Plain(1))
[(f.name, f.init) for f in standard.fields(Counted)]
"""


@pytest.mark.parametrize("use", USES.strip().splitlines())
def test_both_behave_the_same(use: str) -> None:
    assert outcome(use, OURS) == outcome(use, THEIRS)


def outcome(use: str, scope: dict[str, Any]) -> str:
    try:
        return repr(eval(use, {**scope, "standard": dataclasses}))
    except Exception as error:
        return f"{type(error).__name__} {isinstance(error, AttributeError)}"


def test_patterns_take_fields_by_position() -> None:
    for scope in (OURS, THEIRS):
        plain = scope["Plain"]
        match plain(1, 5):
            case plain(1, y):
                assert y == 5
            case _:
                pytest.fail("it does not match")


def test_the_written_method_takes_the_stubs_place() -> None:
    plain = classes(lazy_record)["Plain"]
    stub = plain.__init__
    made = [plain(1, y=n) for n in range(30)]
    assert [(p.x, p.y) for p in made] == [(1, n) for n in range(30)]
    assert plain.__init__ is not stub
    assert plain.__init__.__qualname__ == "Plain.__init__"
