# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a script's section that say where and when it runs: `when`, `percent`, `from`, `after` ...

when: {kernel: ">=5.10 <7", labels: {tier: canary}}
-> When({"kernel": Range(">=5.10 <7", ...)}, {"tier": Patterns(("canary",))})
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from agent.config import schema
from agent.config.metric_names import LABEL_NAME
from agent.config.rollout_settings import (
    AFTER_SECONDS,
    After,
    Arm,
    Bound,
    Patterns,
    Range,
    RolloutSettings,
    Variant,
    When,
)
from agent.config.schema import Reader, SchemaError
from agent.config.settings import ScriptSettings
from agent.config.yaml_tree import ConfigDiagnostic, Node, Scalar
from agent.config.yaml_tree import Mapping as Tree

# The facts that `when` knows besides labels; agent/rollout/matching.py has their values.
GLOBS = ("host", "arch", "virtualization", "os", "cgroup")
RANGES = {"kernel": (3, "'>=5.10 <7' or 6.1"), "cpus": (1, "'>=4 <64' or 8")}
# Each key of a script's section, and its field.
_KEYS = {
    "when": "when",
    "percent": "percent",
    "from": "start",
    "until": "end",
    "arm": "arm",
    "after": "after",
    "variants": "variants",
}
_BOUND = re.compile(r"(<=|>=|==?|<|>)? *([0-9]+(?:\.[0-9]+)*)[ ,]*")
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}"
_ZONE_HINT = "end it with Z for UTC, or with an offset as +01:00"
_TIME_HINT = "write it as 2026-12-24T18:00Z"


def fields(reader: Reader, path: Callable[[Node], Path]) -> dict[str, Callable[[Node], Any]]:
    """The readers of the keys. `path` reads a path."""
    return {
        "when": lambda node: _when(node, reader),
        "percent": percentage,
        "from": moment,
        "until": moment,
        "arm": schema.choice(Arm),
        "after": lambda node: _after(node, reader),
        "variants": lambda node: _variants(node, reader, path),
    }


def gathered(values: dict[str, Any], node: Node, reader: Reader) -> dict[str, Any]:
    """The values of a script's section with those of the rollout in one record.

    A script without a source of its own has that of its first variant.
    """
    found = {_KEYS[key]: value for key, value in values.items() if key in _KEYS}
    kept = {key: value for key, value in values.items() if key not in _KEYS}
    rollout = RolloutSettings(**found)
    entries = node.entries if isinstance(node, Tree) else {}
    if rollout.start is not None and rollout.end is not None and rollout.end <= rollout.start:
        reader.diagnostics.append(
            ConfigDiagnostic(entries["until"].node.position, "'until' must be later than 'from'")
        )
    if not kept.keys() & {"file", "text"} and rollout.variants:
        first = rollout.variants[0]
        source = {"file": first.file, "text": first.text}
        kept |= {k: v for k, v in source.items() if v is not None}
    return {**kept, "rollout": rollout}


def order_errors(
    scripts: Mapping[str, ScriptSettings], refused: Set[str] = frozenset()
) -> list[tuple[str, ConfigDiagnostic]]:
    """Scripts that wait for one that does not exist, or for themselves, with what is wrong. `refused`: the
    scripts whose settings are wrong, which others may wait for."""
    found: list[tuple[str, ConfigDiagnostic]] = []
    followed: set[str] = set()
    for name, script in scripts.items():
        after = script.rollout.after
        if after is not None and after.script not in scripts.keys() | refused:
            others = [other for other in scripts if other != name]
            hint = schema.suggest(after.script, others) if others else ""
            message = f"no script '{after.script}' to wait for"
            found.append((name, ConfigDiagnostic(after.position, message, hint)))
        circle = _circle(name, scripts, followed)
        if circle:
            first = circle[-1].script
            order = " after ".join([first, *(after.script for after in circle)])
            message = f"'{first}' waits for itself: {order}"
            found.append((first, ConfigDiagnostic(circle[0].position, message)))
    return found


def _circle(name: str, scripts: Mapping[str, ScriptSettings], followed: set[str]) -> list[After]:
    """What the scripts of the circle that this one leads to wait for, each for the next one's.

    `followed`: the scripts that were looked at; this adds to them.
    """
    path: dict[str, After] = {}
    while name in scripts and name not in followed and name not in path:
        after = scripts[name].rollout.after
        if after is None:
            break
        path[name] = after
        name = after.script
    followed |= path.keys()
    return list(path.values())[list(path).index(name) :] if name in path else []


# -- where ----------------------------------------------------------------------------------------


def _when(node: Node, reader: Reader) -> When:
    def labels(inner: Node) -> dict[str, Patterns]:
        return reader.table(inner, "labels", lambda n: _patterns(n, reader, "a label"), LABEL_NAME)

    known: dict[str, Callable[[Node], Any]] = {
        **{key: _patterns_of(key, reader) for key in GLOBS},
        **{key: _range_of(key) for key in RANGES},
        "labels": labels,
    }
    found = reader.record(node, "when", known)
    return When(labels=found.pop("labels", {}), facts=found)


def _patterns_of(key: str, reader: Reader) -> Callable[[Node], Patterns]:
    return lambda node: _patterns(node, reader, key)


def _patterns(node: Node, reader: Reader, what: str) -> Patterns:
    return Patterns(reader.items(node, what, _pattern))


def _pattern(node: Node) -> str:
    given = schema.word(node)
    if not given.lstrip("!").strip():
        raise SchemaError(
            node.position,
            "an empty pattern",
            "write 'web-*', or '!web-1' in quotes to leave it out",
        )
    return given


def _range_of(key: str) -> Callable[[Node], Range]:
    parts, example = RANGES[key]

    def read(node: Node) -> Range:
        given = schema.word(node)
        bounds, at = [], 0
        while match := _BOUND.match(given, at):
            at = match.end()
            number = tuple(map(int, match[2].split(".")))
            bounds.append(Bound((match[1] or "=").replace("==", "="), number))
        too_long = any(len(bound.number) > parts for bound in bounds)
        if at != len(given) or not bounds or too_long:
            raise SchemaError(node.position, f"'{given}' is not a range", f"write {example}")
        return Range(given.strip(), tuple(bounds))

    return read


def percentage(node: Node) -> Decimal:
    given = schema.word(node).removesuffix("%").strip()
    try:
        found = Decimal(given)
    except InvalidOperation:
        found = Decimal(-1)
    if not (found.is_finite() and 0 <= found <= 100):
        raise SchemaError(
            node.position,
            f"must be a percentage from 0 to 100, not {schema.kind(node)}",
            "write 10 or 0.5",
        )
    return found


# -- when ------------------------------------------------------------------------------------------


def moment(node: Node) -> float:
    """Seconds since 1970, from ISO 8601 with a zone."""
    given = node.text if isinstance(node, Scalar) else ""
    try:
        found = parse_time(given)
    except ValueError as error:
        if not isinstance(node, Scalar):
            raise SchemaError(
                node.position, f"must be a time, not {schema.kind(node)}", _TIME_HINT
            ) from None
        message, _, hint = str(error).partition("; ")
        raise SchemaError(node.position, message, hint) from None
    return found


def parse_time(given: str) -> float:
    """ValueError for what is no time, and for a time without a zone."""
    try:
        found = datetime.fromisoformat(re.sub("Z$", "+00:00", given.strip()))
    except ValueError:
        raise ValueError(f"'{given}' is not a time; {_TIME_HINT}") from None
    if found.tzinfo is None:
        raise ValueError(f"'{given}' has no time zone; {_ZONE_HINT}")
    return found.timestamp()


def _after(node: Node, reader: Reader) -> After:
    if not isinstance(node, Tree):
        return After(schema.word(node), AFTER_SECONDS, node.position)
    found = reader.record(node, "after", {"script": schema.word, "for": schema.seconds})
    if "script" not in found:
        raise SchemaError(
            node.position, "'after' must name a script", "write {script: NAME, for: 5m}"
        )
    position = node.entries["script"].node.position
    return After(found["script"], found.get("for", AFTER_SECONDS), position)


# -- which -----------------------------------------------------------------------------------------


def _variants(node: Node, reader: Reader, path: Callable[[Node], Path]) -> tuple[Variant, ...]:
    found: dict[str, Variant] = {}

    def read(item: Node) -> Variant:
        variant = _variant(item, len(found) + 1, reader, path)
        if variant.name in found:
            raise SchemaError(
                item.position, f"two variants are called '{variant.name}'", "give this one a 'name'"
            )
        found[variant.name] = variant
        return variant

    return reader.items(node, "variants", read)


def _variant(node: Node, number: int, reader: Reader, path: Callable[[Node], Path]) -> Variant:
    if not isinstance(node, Tree):
        file = path(node)
        return Variant(file.stem, file)
    name = schema.matching(_NAME, "a variant's name", "use letters, digits, '_', '-' and '.'")
    found = reader.record(
        node,
        "a variant",
        {
            "name": name,
            "file": path,
            "text": schema.text,
            "defines": lambda n: reader.table(n, "defines", schema.word, r"[A-Za-z_][A-Za-z0-9_]*"),
        },
    )
    if "file" in found and "text" in found:
        raise SchemaError(node.position, "a variant has both 'file' and 'text'", "keep one")
    if not node.entries.keys() & {"file", "text", "defines"}:
        raise SchemaError(node.position, "a variant needs 'file', 'text' or 'defines'")
    own = found["file"].stem if "file" in found else str(number)
    return Variant(**{"name": own, **found})
