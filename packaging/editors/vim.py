# SPDX-License-Identifier: GPL-2.0-or-later
"""Vim's files: syntax, detection of the file type, and how comments are written.

files() -> {"syntax/stapwatch.vim": "...", "ftdetect/stapwatch.vim": "...", "ftplugin/stapwatch.vim": "..."}
"""

from __future__ import annotations

from pathlib import Path

from compiler.frontend.lexer import KEYWORDS
from editors.words import ROLES, groups

_SYNTAX = Path(__file__).with_name("syntax.vim")
_HEAD = '" SPDX-License-Identifier: GPL-2.0-or-later\n'
# Vim itself takes *.stp for stored procedures of a database.
_DETECT = f"""{_HEAD}autocmd BufNewFile,BufRead *.stp,*.stpm set filetype=stapwatch
autocmd BufNewFile,BufRead *
  \\ if getline(1) =~# '^#!.*\\<\\%(stapwatch run\\|stap\\)\\>' | set filetype=stapwatch | endif
"""
_PLUGIN = f"""{_HEAD}if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1
setlocal comments=s1:/*,mb:*,ex:*/,://,b:# commentstring=//\\ %s
let b:undo_ftplugin = "setlocal comments< commentstring<"
"""
# Our groups and those that colour schemes know.
_LINKS = {
    "declaration": "Keyword",
    "conditional": "Conditional",
    "repeat": "Repeat",
    "exception": "Exception",
    "statement": "Statement",
    "type": "Type",
    "print": "Function",
    "library": "Function",
    "function": "Function",
    "family": "Type",
    "number": "Number",
    "preprocessor": "PreCondit",
    "macro": "Macro",
    "at": "Operator",
    "define": "Define",
    "variable": "Identifier",
    "argument": "Constant",
    "escape": "SpecialChar",
    "format": "SpecialChar",
    "string": "String",
    "todo": "Todo",
    "comment": "Comment",
    "bracket": "PreProc",
}


def files() -> dict[str, str]:
    """By the name below a folder of Vim's runtimepath."""
    return {
        "syntax/stapwatch.vim": _syntax(),
        "ftdetect/stapwatch.vim": _DETECT,
        "ftplugin/stapwatch.vim": _PLUGIN,
    }


def group(name: str) -> str:
    """The name of a group in Vim: "stapwatchString"."""
    return f"stapwatch{name.capitalize()}"


def _syntax() -> str:
    words = groups()
    keywords = [
        f"syn keyword {group(name)} {' '.join(words[name])}"
        for name in (*ROLES, "print", "library")
    ]
    links = [f"hi def link {group(name)} {link}" for name, link in _LINKS.items()]
    places = {
        "@KEYWORDS@": "\n".join(keywords),
        "@WORDS@": r"\|".join(sorted(KEYWORDS)),
        "@FAMILIES@": r"\|".join(words["family"]),
        "@AT@": r"\|".join(words["at"]),
        "@LINKS@": "\n".join(links),
    }
    text = _SYNTAX.read_text()
    for place, given in places.items():
        text = text.replace(place, given)
    return text
