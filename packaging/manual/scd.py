# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of text in scdoc's format.

escape("stapwatch_lost_total *")        -> "stapwatch\\_lost\\_total \\*"
definition("*-p* _N_", "end after it")  -> "*-p* _N_\\n\\tend after it\\n"
"""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\*_`#~<>\[\]|.+-])")
_LITERAL = re.compile(r"^```\n.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def escape(text: str) -> str:
    """Text that scdoc shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def prose(text: str) -> str:
    """Text as it stands in comments and help: what is in backquotes becomes bold."""
    parts = _CODE.split(text)
    return "".join(f"*{escape(part)}*" if at % 2 else escape(part) for at, part in enumerate(parts))


def bold(text: str) -> str:
    return f"*{escape(text)}*"


def underlined(text: str) -> str:
    return f"_{escape(text)}_"


def definition(term: str, text: str) -> str:
    """A term of one or more lines, and its explanation, which is indented."""
    terms = "++\n".join(term.split("\n"))
    return f"{terms}\n\t{text}\n"


def literal(text: str) -> str:
    """Lines that stay as they are."""
    return f"```\n{text.rstrip()}\n```\n"


def with_plain_literals(source: str) -> str:
    """A source in which scdoc leaves backslashes between ``` as they are; it takes them for escapes."""
    return _LITERAL.sub(lambda found: found[0].replace("\\", "\\\\"), source)
