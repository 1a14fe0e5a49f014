# SPDX-License-Identifier: GPL-2.0-or-later
"""Support of editors for scripts: a syntax for Vim, and a TextMate grammar, which most other editors read.

    python -m editors build/editors
      ->  vim/{ftdetect,ftplugin,syntax}/stapwatch.vim, textmate/stapwatch.tmLanguage.json

The words come from the lexer's tables, from the families of probe points and from the library. Tests compare
what the editors take for a word, a text or a comment with the lexer's tokens.
"""
