# SPDX-License-Identifier: GPL-2.0-or-later
"""Which label is made of which key of an array, and how.

    plan_labels((Key("execname", ...), Key("cgroup_id", ...)), None)
    -> Plan(("execname", "cgroup"), (LabelSource(0), LabelSource(1, LabelSettings(...CGROUP))))

A key that no entry names is a label, as it is. The number of a cgroup tells people nothing, so that of
`cgroup_id()` becomes the cgroup's path, unless an entry says what it is to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from agent.config.label_settings import CPU, OWN_NAMES, TAKE_TEXT, Decoder, LabelSettings
from agent.config.metric_names import label_names
from agent.config.schema import suggest
from agent.config.settings import MetricSettings
from runtime.abi.manifest import Key, ValueType
from runtime.support.record import record, replace

_BY_FUNCTION: Final = {"cgroup_id": Decoder.CGROUP, "task_cgroup_id": Decoder.CGROUP}


@record
class LabelSource:
    """`key`: its place in the array's keys, or behind all of them for the CPU. `how`: None if the label has
    the key's value."""

    key: int
    how: LabelSettings | None = None


@record
class Plan:
    """`sources`: one for each label; None: each label has the value of the key in its place."""

    labels: tuple[str, ...]
    sources: tuple[LabelSource, ...] | None
    problems: tuple[str, ...] = ()


def plan_labels(keys: Sequence[Key], metric: MetricSettings | None, by_cpu: bool = False) -> Plan:
    """Plan the labels of an array. A declaration that cannot be followed is left out and is a problem.

    `by_cpu`: the values of each CPU are kept apart, so the CPU can be one more key.
    """
    names = label_names(key.name for key in keys)
    words = metric.labels if metric is not None else None
    declared = metric.made_labels if metric is not None else ()
    made, problems = _by_key(keys, names, declared, by_cpu)
    left = [n for n in range(len(keys)) if n not in made]
    if words is not None and len(words) != len(left):
        shown = ", ".join(names[n] for n in left) or "none"
        many = f"{len(words)} labels declared for {len(left)} keys"
        problems.append(f"{many}; it is exported with {shown}")
        words = None
    given = dict(zip(left, words or (), strict=False))
    for n in left:
        if decoder := _default(keys[n]):
            made[n] = [LabelSettings(names[n], given.get(n), decoder)]
    pairs: list[tuple[str, LabelSource]] = []
    for n, name in enumerate((*names, CPU)):
        if n not in made and n < len(keys):
            pairs.append((given.get(n, name), LabelSource(n)))
        pairs += [
            (how.name or _name_of(how.decode, name), _simple(LabelSource(n, how)))
            for how in made.get(n, ())
            if not how.drop
        ]
    labels = tuple(name for name, _ in pairs)
    if twice := [name for name, count in Counter(labels).items() if count > 1]:
        problems.append(f"label '{twice[0]}' is there twice; rename one; none is decoded")
        return Plan(names, None, tuple(problems))
    sources = tuple(source for _, source in pairs)
    is_plain = sources == tuple(map(LabelSource, range(len(keys))))
    return Plan(labels, None if is_plain else sources, tuple(problems))


def _by_key(
    keys: Sequence[Key], names: Sequence[str], declared: Sequence[LabelSettings], by_cpu: bool
) -> tuple[dict[int, list[LabelSettings]], list[str]]:
    """The declarations by the number of their key, and a problem for each one that no key fits."""
    known = {CPU: len(keys), **{str(n + 1): n for n in range(len(keys))}}
    known |= {_name_of(d, names[n]): n for n in range(len(keys)) if (d := _default(keys[n]))}
    known |= {name: n for n, name in enumerate(names)}
    made: dict[int, list[LabelSettings]] = {}
    problems = []
    for how in declared:
        n = known.get(how.source)
        if n is None:
            hint = suggest(how.source, names) if names else "it has none"
            problems.append(f"no key '{how.source}' to make a label of; {hint}")
        elif n == len(keys):
            if by_cpu:
                made.setdefault(n, []).append(how)
            else:
                problems.append("its values are not kept by CPU, because handlers read it")
        elif keys[n].type is ValueType.STRING and how.decode not in {None, *TAKE_TEXT}:
            problems.append(f"key '{how.source}' is a text, which is no {how.decode}")
        else:
            decode = how.decode or _default(keys[n])
            made.setdefault(n, []).append(replace(how, decode=decode))
    return made, problems


def _default(key: Key) -> Decoder | None:
    return _BY_FUNCTION.get(key.name) if key.type is ValueType.LONG else None


def _name_of(decoder: Decoder | None, key: str) -> str:
    """The name of a label that has no declared one."""
    return str(decoder) if decoder in OWN_NAMES else key


def _simple(source: LabelSource) -> LabelSource:
    """Without what changes nothing."""
    how = source.how
    if how is None:
        return source
    changes = how.map or how.match is not None or how.decode not in (None, Decoder.RAW)
    return source if changes else LabelSource(source.key)
