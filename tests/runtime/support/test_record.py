# SPDX-License-Identifier: GPL-2.0-or-later
"""Records against the standard library's dataclasses: the same class text, the same behaviour."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.support import record

TEXT = """
from __future__ import annotations

@d.record
class Plain:
    x: int
    y: int = 2

@d.record(frozen=False)
class Counted:
    name: str
    seen: list[int] = d.field(default_factory=list)
    cache: dict[str, int] = d.field(default_factory=dict, init=False, repr=False)
    start: float = d.field(init=False, default=0.5)
    ready: bool = d.field(init=False)

    def __post_init__(self):
        self.ready = bool(self.name)

@d.record(order=True)
class Ranked:
    rank: int
    text: str = d.field(default="", compare=False)

@d.record
class Open:
    value: object
    other: tuple = (1, 2)

    @property
    def doubled(self):
        return self.value * 2

@d.record
class More(Open):
    third: int = 3
    other: str = "o"

@d.record(eq=False)
class Same:
    x: int

@d.record
class Empty:
    pass

@d.record
class Shouting:
    x: int

    def __repr__(self):
        return "!"
"""


def classes(module: Any) -> dict[str, Any]:
    scope: dict[str, Any] = {"d": module, "__name__": __name__}
    exec(TEXT, scope)
    return scope


def standard_record(cls: type | None = None, /, **options: bool) -> Any:
    decorate = dataclasses.dataclass(**{"frozen": True, **options})
    return decorate if cls is None else decorate(cls)


STANDARD = SimpleNamespace(
    record=standard_record,
    is_record=dataclasses.is_dataclass,
    field=dataclasses.field,
    fields=dataclasses.fields,
    replace=dataclasses.replace,
    asdict=dataclasses.asdict,
)
OURS, THEIRS = classes(record), classes(STANDARD)

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
d.is_record(Plain), d.is_record(Plain(1)), d.is_record(3), d.is_record(int)
standard.replace(Plain(1, 2), y=9), standard.asdict(Plain(1)), standard.is_record(Plain(1))
[(f.name, f.init) for f in standard.fields(Counted)]
"""


@pytest.mark.parametrize("use", USES.strip().splitlines())
def test_both_behave_the_same(use: str) -> None:
    assert outcome(use, OURS) == outcome(use, THEIRS)


def outcome(use: str, scope: dict[str, Any]) -> str:
    try:
        return repr(eval(use, scope))
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
    plain = classes(record)["Plain"]
    stub = plain.__init__
    made = [plain(1, y=n) for n in range(30)]
    assert [(p.x, p.y) for p in made] == [(1, n) for n in range(30)]
    assert plain.__init__ is not stub
    assert plain.__init__.__qualname__ == "Plain.__init__"


@pytest.fixture
def eager_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_switches")
def test_threads_use_a_record_for_the_first_time() -> None:
    threads = 4
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(300):
            counted, barrier = classes(record)["Counted"], Barrier(threads)

            def make(number: int, counted: Any = counted, barrier: Barrier = barrier) -> Any:
                barrier.wait()
                made = counted(name=str(number))
                return made.name, made.seen, made.cache, made.start

            assert list(pool.map(make, range(threads))) == [
                (str(number), [], {}, 0.5) for number in range(threads)
            ]
            assert [f.name for f in record.fields(counted) if not f.init] == [
                "cache",
                "start",
                "ready",
            ]
