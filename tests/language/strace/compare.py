# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether two texts of a call's arguments say the same.

split('3, {a, b}, "x, y"')   -> ["3", '{a, b}', '"x, y"']
same("O_RDONLY|0x800", "0x800|O_RDONLY")    -> True
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r" */\*.*?\*/")
_NUMBER = re.compile(r"-?(0x[0-9a-f]+|\d+)\Z")
_OPEN, _CLOSE = "([{", ")]}"
ADDRESS = re.compile(r"0x[0-9a-f]+\Z")


def split(text: str) -> list[str]:
    """The arguments between commas that are in no bracket and no string."""
    found, depth, quoted, start, at = [], 0, False, 0, 0
    while at < len(text):
        character = text[at]
        if quoted:
            at += character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif text.startswith("/*", at):
            at = text.index("*/", at) + 1
        elif character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif character == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
        at += 1
    last = text[start:].strip()
    return [*found, last] if last or found else []


_SPELLING = (
    (re.compile(r"\bSIGRT_(\d+)"), r"SIGRTMIN+\1"),
    (re.compile(r"\bSIGRTMIN\b(?!\+)"), "SIGRTMIN+0"),
    (re.compile(r"\bAF_UNIX\b"), "AF_LOCAL"),
    (re.compile(r"\bFASYNC\b"), "O_ASYNC"),
    (re.compile(r"\{tv_sec=(-?\d+), tv_nsec=(\d+)\}"), lambda m: f"{{{m[1]}.{int(m[2]):09}}}"),
    (re.compile(r"\{tv_sec=(-?\d+), tv_usec=(\d+)\}"), lambda m: f"{{{m[1]}.{int(m[2]):06}}}"),
    (
        re.compile(
            r"\{sa_family=(\w+), sin6?_port=htons\((\d+)\), (?:sin6_flowinfo=\S+, )?"
            r"(?:sin_addr=inet_addr|inet_pton)\((?:AF_INET6, )?\"([^\"]*)\"[^}]*\}"
        ),
        r"{\1, \3, \2}",
    ),
    (re.compile(r"\{sa_family=(\w+)(?: /\* AF_\?\?\? \*/)?, sa_data=.*\}"), r"{\1}"),
    (re.compile(r"\{sa_family=(\w+)\}"), r"{\1}"),
    (re.compile(r"\{0x63\}"), "{99}"),
    (re.compile(r"\bWSTOPPED\b"), "WUNTRACED"),
    (re.compile(r"\bMS_NOUSER\b"), "0x80000000"),
    (re.compile(r"0:0:0:0:0:0:0:1"), "::1"),
    # names of no bits
    (
        re.compile(
            r"\b(MAP_FILE|PER_LINUX|AT_STATX_SYNC_AS_STAT|KEXEC_ARCH_DEFAULT|FAN_CLASS_NOTIF|IPC_PRIVATE)\b"
        ),
        "0",
    ),
)


def _number(word: str) -> int | None:
    if word == "NULL":
        return 0
    if re.fullmatch(r"0+", word):
        return 0
    if not _NUMBER.match(word):
        return None
    if re.fullmatch(r"0[0-7]+", word):
        return int(word, 8)
    return int(word, 0)


def _meaning(text: str) -> object:
    """A number, or names with the number of the bits that have none."""
    text = _COMMENT.sub("", text)
    for pattern, replacement in _SPELLING:
        text = pattern.sub(replacement, text)
    if text.startswith(('"', "{", "[")):
        return text
    names, bits = set(), 0
    for word in text.split("|"):
        number = _number(word)
        if number is None:
            names.add(word)
        else:
            bits |= number
    return bits & (1 << 64) - 1 if not names else (frozenset(names), bits)


def same(ours: str, theirs: str) -> bool:
    """What a pointer points to is theirs to show: where ours is an address, it may be a struct's or list's."""
    mine, other = _meaning(ours), _meaning(theirs)
    if mine == other:
        return True
    if re.search(r"\?\?", theirs) and isinstance(mine, int) and isinstance(other, int):
        return mine & 0xFFFFFFFF == other & 0xFFFFFFFF  # a number without a name has no sign
    return bool(ADDRESS.match(ours)) and theirs.startswith(("{", "[", "~["))
