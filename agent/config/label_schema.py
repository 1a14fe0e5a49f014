# SPDX-License-Identifier: GPL-2.0-or-later
"""The `labels:` of a metric: words that name keys, and mappings that say what is made of one.

[comm, {from: cgroup_id, name: unit, decode: systemd_unit}]
-> Labels(("comm",), (LabelSettings("cgroup_id", "unit", Decoder.SYSTEMD_UNIT),))
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial

from agent.config import schema
from agent.config.label_settings import Decoder, LabelSettings
from agent.config.metric_names import LABEL_NAME, RESERVED_LABELS
from agent.config.schema import Reader, SchemaError
from agent.config.yaml_tree import Mapping, Node, Sequence
from runtime.support.record import record

WORD_HINT = "use letters, digits and '_', not starting with a digit"
_OTHERS = "other"
_GROUP = re.compile(r"\$(?:(\d+)|\{(\w+)\}|(\$))")


@record
class Labels:
    """`words`: None if there are none."""

    words: tuple[str, ...] | None
    made: tuple[LabelSettings, ...]

    def names(self) -> list[str]:
        """Those that are declared."""
        return [*(self.words or ()), *(made.name for made in self.made if made.name is not None)]


def label(node: Node) -> str:
    name = schema.matching(LABEL_NAME, "a label name", WORD_HINT)(node)
    if name in RESERVED_LABELS:
        raise SchemaError(node.position, f"label name '{name}' is reserved", "choose another")
    return name


def read_labels(node: Node, reader: Reader) -> Labels:
    nodes = node.items if isinstance(node, Sequence) else (node,)
    words, made = [], []
    for item in nodes:
        if isinstance(item, Mapping):
            found = reader.attempt(partial(_made, reader=reader), item)
            made += [found] if found is not None else []
        else:
            word = reader.attempt(label, item)
            words += [word] if word is not None else []
    labels = Labels(tuple(words) if words or not made else None, tuple(made))
    if twice := [name for name, count in Counter(labels.names()).items() if count > 1]:
        raise SchemaError(node.position, f"label '{twice[0]}' is named twice")
    return labels


def _made(node: Node, reader: Reader) -> LabelSettings:
    node = schema.mapping(node, "a label")
    values = reader.record(
        node,
        "a label",
        {
            "from": schema.word,
            "name": label,
            "decode": schema.choice(Decoder),
            "map": lambda n: tuple(reader.table(n, "map", schema.word).items()),
            "match": _regex,
            "replace": schema.word,
            "others": schema.word,
            "drop_others": schema.truth,
            "drop": schema.truth,
        },
    )
    if "from" not in values:
        raise SchemaError(
            node.position, "a label needs 'from'", "the name of the key that it is made of"
        )
    source = values.pop("from")
    if values.get("drop") and len(values) > 1:
        raise SchemaError(
            node.position, f"key '{source}' is dropped, and becomes a label", "leave one out"
        )
    _check_replacing(node, values)
    return LabelSettings(source, **values)


def _check_replacing(node: Mapping, values: dict[str, object]) -> None:
    """Checks that settings which need each other are both there; fills in `replace` and `others`."""
    matches = "match" in values or "map" in values
    for key in ("others", "drop_others"):
        if key in values and not matches:
            raise SchemaError(node.entries[key].position, f"'{key}' needs 'match' or 'map'")
    if "others" in values and "drop_others" in values:
        raise SchemaError(node.position, "'others' and 'drop_others' exclude each other")
    if "replace" in values:
        values["replace"] = _template(node, values)
    elif "match" in values and not values.get("drop_others"):
        values.setdefault("others", _OTHERS)


def _template(node: Mapping, values: dict[str, object]) -> str:
    """`replace` as `re` has it; raises SchemaError."""
    position, match = node.entries["replace"].position, values.get("match")
    if not isinstance(match, str):
        raise SchemaError(position, "'replace' needs 'match'", "a regular expression for the text")
    escaped = str(values["replace"]).replace("\\", r"\\")
    template = _GROUP.sub(lambda m: "$" if m[3] else rf"\g<{m[1] or m[2]}>", escaped)
    try:
        re.compile(f"{match}|").sub(template, "", 1)
    except (re.error, IndexError) as error:
        raise SchemaError(
            position, f"not a replacement: {error}", "write $1, ${name} or $$"
        ) from None
    return template


def _regex(node: Node) -> str:
    given = schema.word(node)
    try:
        re.compile(given)
    except (re.error, OverflowError, RecursionError) as error:
        raise SchemaError(node.position, f"not a regular expression: {error}") from None
    return given
